-- NO KEY: rows that refer to them may be inserted meanwhile.
SELECT id FROM work_queue WHERE id = ANY(:ids::uuid[]) ORDER BY id FOR NO KEY UPDATE
