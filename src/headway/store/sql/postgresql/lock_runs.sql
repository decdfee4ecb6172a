-- NO KEY: rows that refer to them may be inserted meanwhile.
SELECT coalesce(root_flow_run_id, id) FROM flow_run WHERE id = ANY(:runs::uuid[]) ORDER BY id FOR NO KEY UPDATE
