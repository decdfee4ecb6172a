-- Live attempts, for a renewal by workers: whose they are and when he was last heard. They are locked, in the order
-- that everybody keeps, so that none is adopted or ended before it is renewed.
SELECT a.flow_run_id, a.number, a.token, a.worker_name, coalesce(a.worker_renewed, a.opened)
FROM attempt AS a WHERE a.flow_run_id = ANY(:ids::uuid[]) AND a.ended IS NULL
ORDER BY a.flow_run_id FOR NO KEY UPDATE
