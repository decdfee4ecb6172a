-- Live attempts, for a renewal by workers: whose they are and when he was last heard.
-- differs because SQLite has no arrays, and no other writer.
SELECT a.flow_run_id, a.number, a.token, a.worker_name, coalesce(a.worker_renewed, a.opened)
FROM json_each(:ids) AS wanted CROSS JOIN attempt AS a ON a.flow_run_id = wanted.value AND a.ended IS NULL
