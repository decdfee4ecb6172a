-- Unfinished flow runs below some runs, at any depth.
WITH RECURSIVE below (id) AS (
    SELECT unnest(:runs::uuid[])
    UNION
    SELECT child.id
    FROM below
    JOIN task_run ON task_run.flow_run_id = below.id
    JOIN flow_run AS child ON child.parent_task_run_id = task_run.id
    WHERE child.state_type IS NULL OR child.state_type NOT IN ('COMPLETED', 'FAILED', 'CANCELLED', 'CRASHED')
)
SELECT id FROM below
