-- The slots that some runs hold.
-- differs because SQLite has no arrays.
SELECT s.flow_run_id, s.kind, s.limit_id, s.lease_id, s.attempt
FROM json_each(:ids) AS wanted CROSS JOIN slot AS s ON s.flow_run_id = wanted.value
