-- Which of these task runs are there under their own ids.
-- differs because SQLite has no arrays: the ids come as a JSON array of 32 hex digits each.
SELECT id FROM task_run WHERE id IN (SELECT value FROM json_each(:ids))
