-- What waits of some deployments, in whatever pool and queue, earliest first; rooms as in `waiting_page`.
WITH
page AS MATERIALIZED (
    SELECT r.flow_run_id, r.due, r.work_pool_id, r.work_queue_id, d.id AS deployment_id
    FROM deployment AS d CROSS JOIN LATERAL (
        SELECT w.flow_run_id, w.due, w.work_pool_id, w.work_queue_id
        FROM live_run AS w
        WHERE w.claimable AND w.deployment_id = d.id
            AND w.due BETWEEN :after::bigint AND :before::bigint
            AND w.flow_run_id <> ALL(:taken::uuid[])
        ORDER BY w.due, w.flow_run_id LIMIT :size::bigint) AS r
    WHERE d.id = ANY(:deployments)
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
