-- All attempts of some runs, the newest last.
SELECT a.flow_run_id, a.number, a.token, a.opened, a.lease_end, a.nonce, a.claim_id, a.worker_id, a.worker_name,
       a.work_pool_id, a.handle::text, a.reported, a.started, a.ended, a.outcome::text, a.counts, a.worker_renewed
FROM attempt AS a WHERE a.flow_run_id = ANY(:ids::uuid[])
ORDER BY a.flow_run_id, a.number
