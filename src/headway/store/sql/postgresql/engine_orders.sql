-- What engines must stop: cancelled runs of their own, and roots that others ended and that they outstay.
SELECT r.id, r.id FROM flow_run AS r
WHERE r.id = ANY(:ids::uuid[]) AND r.state_type IN ('CANCELLED', 'CRASHED') AND r.state_timestamp <= :over
UNION ALL
SELECT r.id, r.id FROM flow_run AS r
WHERE r.id = ANY(:ids::uuid[]) AND r.state_type = 'CANCELLING'
UNION ALL
SELECT r.root_flow_run_id, r.id FROM flow_run AS r
WHERE r.root_flow_run_id = ANY(:ids::uuid[]) AND r.state_type = 'CANCELLING'
