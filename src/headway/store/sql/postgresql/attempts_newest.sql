-- The flow runs that exist, and the number of their newest attempt; inline subflows have their root's.
-- differs because PostgreSQL takes the ids as an array.
SELECT flow_run.id, max(attempt.number)
FROM flow_run LEFT JOIN attempt ON attempt.flow_run_id = coalesce(flow_run.root_flow_run_id, flow_run.id)
WHERE flow_run.id = ANY(:ids::text[]::uuid[])
GROUP BY flow_run.id
