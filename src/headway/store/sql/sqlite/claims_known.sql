-- What claims have taken before.
-- differs because SQLite has no arrays.
SELECT a.claim_id, a.flow_run_id, a.number, a.token, a.ended
FROM json_each(:ids) AS wanted CROSS JOIN attempt AS a ON a.claim_id = wanted.value
