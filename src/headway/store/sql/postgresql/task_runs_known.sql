-- Which of these task runs are there under their own ids.
-- differs because PostgreSQL takes the ids as an array.
SELECT id FROM task_run WHERE id = ANY(:ids::text[]::uuid[])
