-- The newest attempt of some runs; inline subflows have their root's. No attempt: nobody owns the run.
-- differs because SQLite has no arrays and no JSONB.
SELECT r.id, coalesce(r.root_flow_run_id, r.id), a.number, a.token, a.nonce, a.worker_id, a.opened, a.lease_end, a.ended,
    json_extract(a.outcome, '$.event')
FROM json_each(:ids) AS wanted CROSS JOIN flow_run AS r ON r.id = wanted.value
LEFT JOIN attempt AS a ON a.flow_run_id = coalesce(r.root_flow_run_id, r.id)
    AND a.number = (SELECT max(x.number) FROM attempt AS x WHERE x.flow_run_id = coalesce(r.root_flow_run_id, r.id))
