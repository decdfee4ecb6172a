-- A run takes its place in a limit.
INSERT INTO slot (flow_run_id, limit_id, kind, attempt, lease_id, taken)
VALUES (:flow_run_id, :limit_id, :kind, :attempt, :lease_id, :taken)
