-- All attempts of some runs, the newest last.
-- differs because SQLite has no arrays.
SELECT a.flow_run_id, a.number, a.token, a.opened, a.lease_end, a.nonce, a.claim_id, a.worker_id, a.worker_name,
       a.work_pool_id, a.handle, a.reported, a.started, a.ended, a.outcome, a.counts, a.worker_renewed
FROM json_each(:ids) AS wanted CROSS JOIN attempt AS a ON a.flow_run_id = wanted.value
ORDER BY a.flow_run_id, a.number
