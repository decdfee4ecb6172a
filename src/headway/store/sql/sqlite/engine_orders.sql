-- What engines must stop: cancelled runs of their own, and roots that others ended and that they outstay.
-- differs because SQLite has no arrays.
SELECT r.id, r.id FROM json_each(:ids) AS wanted CROSS JOIN flow_run AS r ON r.id = wanted.value
WHERE r.state_type IN ('CANCELLED', 'CRASHED') AND r.state_timestamp <= :over
UNION ALL
SELECT r.id, r.id FROM json_each(:ids) AS wanted CROSS JOIN flow_run AS r ON r.id = wanted.value
WHERE r.state_type = 'CANCELLING'
UNION ALL
SELECT r.root_flow_run_id, r.id FROM json_each(:ids) AS wanted CROSS JOIN flow_run AS r ON r.root_flow_run_id = wanted.value
WHERE r.state_type = 'CANCELLING'
