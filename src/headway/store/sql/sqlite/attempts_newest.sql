-- The flow runs that exist, and the number of their newest attempt; inline subflows have their root's.
-- differs because SQLite has no arrays: the ids come as a JSON array of 32 hex digits each.
SELECT flow_run.id, max(attempt.number)
FROM flow_run LEFT JOIN attempt ON attempt.flow_run_id = coalesce(flow_run.root_flow_run_id, flow_run.id)
WHERE flow_run.id IN (SELECT value FROM json_each(:ids))
GROUP BY flow_run.id
