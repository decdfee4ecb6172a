-- The same, however much waits behind what is full: from one deployment of a queue to the next (the index
-- ix_live_run_heads), taking the first of each that has room.
-- differs because SQLite has no LATERAL and no arrays; CROSS JOIN keeps the order of its loops.
WITH RECURSIVE
queue (id, priority, room, pool_id, pool_room) AS (
    SELECT q.id, q.priority, CASE WHEN q.concurrency_limit IS NULL THEN NULL
        ELSE q.concurrency_limit - (SELECT count(*) FROM slot AS s WHERE s.limit_id = q.id) END,
        p.id, CASE WHEN p.concurrency_limit IS NULL THEN NULL
        ELSE p.concurrency_limit - (SELECT count(*) FROM slot AS s WHERE s.limit_id = p.id) END
    FROM json_each(:queues) AS wanted CROSS JOIN work_queue AS q ON q.id = wanted.value
    JOIN work_pool AS p ON p.id = q.work_pool_id
    WHERE NOT q.is_paused AND NOT p.is_paused
        AND q.id NOT IN (SELECT value FROM json_each(:shut))
),
line (queue_id, deployment_id) AS (
    SELECT queue.id, (
        SELECT l.deployment_id FROM live_run AS l
        WHERE l.claimable AND l.work_queue_id = queue.id AND l.deployment_id IS NOT NULL
        ORDER BY l.deployment_id LIMIT 1)
    FROM queue WHERE (queue.room IS NULL OR queue.room > 0) AND (queue.pool_room IS NULL OR queue.pool_room > 0)
    UNION ALL
    SELECT line.queue_id, (
        SELECT l.deployment_id FROM live_run AS l
        WHERE l.claimable AND l.work_queue_id = line.queue_id AND l.deployment_id > line.deployment_id
        ORDER BY l.deployment_id LIMIT 1)
    FROM line WHERE line.deployment_id IS NOT NULL
),
open (queue_id, deployment_id, room) AS (
    SELECT line.queue_id, d.id, CASE WHEN d.concurrency_limit IS NULL THEN NULL
        ELSE d.concurrency_limit - (SELECT count(*) FROM slot AS s WHERE s.limit_id = d.id) END
    FROM line JOIN deployment AS d ON d.id = line.deployment_id
    WHERE NOT d.paused AND d.id NOT IN (SELECT value FROM json_each(:shut))
),
head (flow_run_id, due, queue_id, deployment_id, room, place) AS (
    SELECT r.flow_run_id, r.due, open.queue_id, open.deployment_id, open.room,
        row_number() OVER (PARTITION BY open.deployment_id, open.queue_id ORDER BY r.due, r.flow_run_id) AS place
    FROM open CROSS JOIN live_run AS r ON r.flow_run_id IN (
        SELECT w.flow_run_id
        FROM live_run AS w
        WHERE w.claimable AND w.work_queue_id = open.queue_id AND w.deployment_id = open.deployment_id
            AND w.due BETWEEN :after AND :before
            AND w.flow_run_id NOT IN (SELECT value FROM json_each(:taken))
        ORDER BY w.due, w.flow_run_id LIMIT :size)
    WHERE open.room IS NULL OR open.room > 0
    UNION ALL
    SELECT r.flow_run_id, r.due, queue.id, NULL, NULL, 1
    FROM queue CROSS JOIN live_run AS r ON r.flow_run_id IN (
        SELECT w.flow_run_id
        FROM live_run AS w
        WHERE w.claimable AND w.work_queue_id = queue.id AND w.deployment_id IS NULL
            AND w.due BETWEEN :after AND :before
            AND w.flow_run_id NOT IN (SELECT value FROM json_each(:taken))
        ORDER BY w.due, w.flow_run_id LIMIT :size)
    WHERE (queue.room IS NULL OR queue.room > 0) AND (queue.pool_room IS NULL OR queue.pool_room > 0)
)
SELECT head.flow_run_id, queue.pool_id, head.queue_id, head.deployment_id, queue.pool_room, queue.room, head.room
FROM head JOIN queue ON queue.id = head.queue_id
WHERE head.room IS NULL OR head.place <= head.room
ORDER BY queue.priority, head.due, head.flow_run_id
LIMIT :size
