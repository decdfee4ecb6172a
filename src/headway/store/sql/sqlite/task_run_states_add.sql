-- States of task runs; a report that comes again adds nothing.
-- differs because SQLite binds a row per step of one prepared statement, which is faster here than json_each.
INSERT INTO task_run_state (id, task_run_id, type, name, timestamp, message, data, state_details)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING
