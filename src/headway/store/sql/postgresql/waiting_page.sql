-- What waits first in each of some queues, with the room that its limits leave (NULL: unlimited). Looks at a page
-- of each queue, however long that is. What is paused or deleted has no room.
WITH
queue (id, priority, room, pool_id, pool_room) AS (
    SELECT q.id, q.priority, CASE WHEN q.concurrency_limit IS NULL THEN NULL
        ELSE q.concurrency_limit - (SELECT count(*) FROM slot AS s WHERE s.limit_id = q.id) END,
        p.id, CASE WHEN p.concurrency_limit IS NULL THEN NULL
        ELSE p.concurrency_limit - (SELECT count(*) FROM slot AS s WHERE s.limit_id = p.id) END
    FROM work_queue AS q JOIN work_pool AS p ON p.id = q.work_pool_id
    WHERE q.id = ANY(:queues) AND NOT q.is_paused AND NOT p.is_paused
),
page AS MATERIALIZED (
    SELECT r.flow_run_id, r.due, r.deployment_id, queue.id AS queue_id, queue.priority, queue.room AS queue_room,
        queue.pool_id, queue.pool_room
    FROM queue CROSS JOIN LATERAL (
        SELECT w.flow_run_id, w.due, w.deployment_id
        FROM live_run AS w
        WHERE w.claimable AND w.work_queue_id = queue.id
            AND w.due BETWEEN :after::bigint AND :before::bigint
            AND w.flow_run_id <> ALL(:taken::uuid[])
        ORDER BY w.due, w.flow_run_id LIMIT :size::bigint) AS r
),
room (deployment_id, room) AS (
    SELECT d.id, CASE WHEN d.paused THEN 0 ELSE CASE WHEN d.concurrency_limit IS NULL THEN NULL
        ELSE d.concurrency_limit - (SELECT count(*) FROM slot AS s WHERE s.limit_id = d.id) END END
    FROM deployment AS d WHERE d.id IN (SELECT deployment_id FROM page)
)
SELECT page.flow_run_id, page.pool_id, page.queue_id, page.deployment_id, page.pool_room, page.queue_room,
    CASE WHEN page.deployment_id IS NULL THEN NULL WHEN room.deployment_id IS NULL THEN 0 ELSE room.room END
FROM page LEFT JOIN room ON room.deployment_id = page.deployment_id
ORDER BY page.priority, page.due, page.flow_run_id
