-- Log lines; one whose id is known is ignored.
-- differs because SQLite binds a row per step of one prepared statement, which is faster here than json_each.
INSERT INTO log (id, created, updated, name, level, message, timestamp, flow_run_id, task_run_id, attempt, position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING
