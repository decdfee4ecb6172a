-- A pool and its queues in the order in which they are served, as a claim needs them.
SELECT p.id, p.is_paused, p.concurrency_limit, q.id, q.name, q.is_paused, q.concurrency_limit, q.last_polled
FROM work_pool AS p JOIN work_queue AS q ON q.work_pool_id = p.id
WHERE p.name = :name ORDER BY q.priority, q.name
