-- NO KEY: rows that refer to them may be inserted meanwhile.
SELECT id FROM deployment WHERE id = ANY(:ids::uuid[]) ORDER BY id FOR NO KEY UPDATE
