-- Attempts of some workers whose infrastructure must go: cancelled runs, and processes that outstay their run.
-- differs because SQLite has no arrays.
SELECT a.worker_id, a.flow_run_id, a.number, r.state_type, r.state_name, r.empirical_policy
FROM json_each(:workers) AS wanted CROSS JOIN attempt AS a ON a.worker_id = wanted.value
JOIN flow_run AS r ON r.id = a.flow_run_id
WHERE a.ended IS NULL AND (
    r.state_type = 'CANCELLING'
    OR r.state_type IN ('CANCELLED', 'CRASHED') AND r.state_timestamp <= :over
    OR r.state_type IN ('COMPLETED', 'FAILED') AND r.state_timestamp <= :farewell
    OR (r.state_type = 'SCHEDULED' OR r.state_name = 'Suspended') AND r.state_timestamp <= :long_over
)
