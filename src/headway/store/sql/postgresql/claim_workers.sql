-- Who claims.
SELECT w.id, w.name, w.status FROM worker AS w WHERE w.id = ANY(:ids::uuid[]) AND w.work_pool_id = :pool
