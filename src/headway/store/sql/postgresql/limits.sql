-- Limits of pools, queues and deployments, and how many slots of each are taken: there are no counters, so
-- none can drift. What has no limit is not counted.
SELECT 'pool', l.id, l.name, l.concurrency_limit, NULL,
       CASE WHEN l.concurrency_limit IS NULL THEN 0 ELSE (SELECT count(*) FROM slot WHERE limit_id = l.id) END
FROM work_pool AS l WHERE l.id = ANY(:pools::uuid[])
UNION ALL
SELECT 'queue', l.id, l.name, l.concurrency_limit, NULL,
       CASE WHEN l.concurrency_limit IS NULL THEN 0 ELSE (SELECT count(*) FROM slot WHERE limit_id = l.id) END
FROM work_queue AS l WHERE l.id = ANY(:queues::uuid[])
UNION ALL
SELECT 'deployment', l.id, l.name, l.concurrency_limit, l.concurrency_options::text,
       CASE WHEN l.concurrency_limit IS NULL THEN 0 ELSE (SELECT count(*) FROM slot WHERE limit_id = l.id) END
FROM deployment AS l WHERE l.id = ANY(:deployments::uuid[])
