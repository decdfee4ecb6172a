-- Attempts of some workers whose infrastructure must go: cancelled runs, and processes that outstay their run.
SELECT a.worker_id, a.flow_run_id, a.number, r.state_type, r.state_name, r.empirical_policy::text
FROM attempt AS a
JOIN flow_run AS r ON r.id = a.flow_run_id
WHERE a.ended IS NULL AND a.worker_id = ANY(:workers::uuid[]) AND (
    r.state_type = 'CANCELLING'
    OR r.state_type IN ('CANCELLED', 'CRASHED') AND r.state_timestamp <= :over
    OR r.state_type IN ('COMPLETED', 'FAILED') AND r.state_timestamp <= :farewell
    OR (r.state_type = 'SCHEDULED' OR r.state_name = 'Suspended') AND r.state_timestamp <= :long_over
)
