-- Where a deployment goes: a pool by name, and its queue of that name or its default one.
SELECT p.id, q.id, q.name
FROM work_pool AS p
JOIN work_queue AS q ON q.work_pool_id = p.id
WHERE p.name = :pool AND (q.name = :queue OR (:queue = '' AND q.id = p.default_queue_id))
