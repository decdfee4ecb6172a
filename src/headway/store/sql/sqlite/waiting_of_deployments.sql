-- What waits of some deployments, in whatever pool and queue, earliest first; rooms as in `waiting_page`.
-- differs because SQLite has no LATERAL and no arrays; CROSS JOIN keeps the order of its loops.
WITH
page AS (
    SELECT r.flow_run_id, r.due, r.work_pool_id, r.work_queue_id, d.id AS deployment_id
    FROM json_each(:deployments) AS wanted CROSS JOIN deployment AS d ON d.id = wanted.value
    CROSS JOIN live_run AS r ON r.flow_run_id IN (
        SELECT w.flow_run_id
        FROM live_run AS w
        WHERE w.claimable AND w.deployment_id = d.id
            AND w.due BETWEEN :after AND :before
            AND w.flow_run_id NOT IN (SELECT value FROM json_each(:taken))
        ORDER BY w.due, w.flow_run_id LIMIT :size)
),
room (id, room) AS (
    SELECT p.id, CASE WHEN p.is_paused THEN 0 ELSE CASE WHEN p.concurrency_limit IS NULL THEN NULL
        ELSE p.concurrency_limit - (SELECT count(*) FROM slot AS s WHERE s.limit_id = p.id) END END
    FROM work_pool AS p WHERE p.id IN (SELECT work_pool_id FROM page)
    UNION ALL
    SELECT q.id, CASE WHEN q.is_paused THEN 0 ELSE CASE WHEN q.concurrency_limit IS NULL THEN NULL
        ELSE q.concurrency_limit - (SELECT count(*) FROM slot AS s WHERE s.limit_id = q.id) END END
    FROM work_queue AS q WHERE q.id IN (SELECT work_queue_id FROM page)
    UNION ALL
    SELECT d.id, CASE WHEN d.paused THEN 0 ELSE CASE WHEN d.concurrency_limit IS NULL THEN NULL
        ELSE d.concurrency_limit - (SELECT count(*) FROM slot AS s WHERE s.limit_id = d.id) END END
    FROM deployment AS d WHERE d.id IN (SELECT deployment_id FROM page)
)
SELECT page.flow_run_id, page.work_pool_id, page.work_queue_id, page.deployment_id, p.room, q.room, d.room
FROM page LEFT JOIN room AS p ON p.id = page.work_pool_id LEFT JOIN room AS q ON q.id = page.work_queue_id
    LEFT JOIN room AS d ON d.id = page.deployment_id
ORDER BY page.due, page.flow_run_id
