-- Who claims.
-- differs because SQLite has no arrays.
SELECT w.id, w.name, w.status FROM json_each(:ids) AS wanted CROSS JOIN worker AS w ON w.id = wanted.value
WHERE w.work_pool_id = :pool
