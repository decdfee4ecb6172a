-- The slots that some runs hold.
SELECT s.flow_run_id, s.kind, s.limit_id, s.lease_id, s.attempt FROM slot AS s WHERE s.flow_run_id = ANY(:ids::uuid[])
