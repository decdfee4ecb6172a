-- The newest attempt of some runs; inline subflows have their root's. No attempt: nobody owns the run.
SELECT r.id, coalesce(r.root_flow_run_id, r.id), a.number, a.token, a.nonce, a.worker_id, a.opened, a.lease_end, a.ended,
    a.outcome ->> 'event'
FROM flow_run AS r
LEFT JOIN LATERAL (
    SELECT * FROM attempt AS x WHERE x.flow_run_id = coalesce(r.root_flow_run_id, r.id) ORDER BY x.number DESC LIMIT 1
) AS a ON true
WHERE r.id = ANY(:ids::uuid[])
