SELECT DISTINCT flow_run_id FROM task_run WHERE id = ANY(:tasks::uuid[]) AND flow_run_id IS NOT NULL
