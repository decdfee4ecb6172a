-- Of the runs that a claim would take, those that nobody else is taking at this moment.
SELECT id FROM flow_run WHERE id = ANY(:runs::uuid[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
