-- Limits of pools, queues and deployments, and how many slots of each are taken: there are no counters, so
-- none can drift. What has no limit is not counted.
-- differs because SQLite has no arrays, and no other writer while it reads.
SELECT 'pool', l.id, l.name, l.concurrency_limit, NULL,
       CASE WHEN l.concurrency_limit IS NULL THEN 0 ELSE (SELECT count(*) FROM slot WHERE limit_id = l.id) END
FROM json_each(:pools) AS wanted CROSS JOIN work_pool AS l ON l.id = wanted.value
UNION ALL
SELECT 'queue', l.id, l.name, l.concurrency_limit, NULL,
       CASE WHEN l.concurrency_limit IS NULL THEN 0 ELSE (SELECT count(*) FROM slot WHERE limit_id = l.id) END
FROM json_each(:queues) AS wanted CROSS JOIN work_queue AS l ON l.id = wanted.value
UNION ALL
SELECT 'deployment', l.id, l.name, l.concurrency_limit, l.concurrency_options,
       CASE WHEN l.concurrency_limit IS NULL THEN 0 ELSE (SELECT count(*) FROM slot WHERE limit_id = l.id) END
FROM json_each(:deployments) AS wanted CROSS JOIN deployment AS l ON l.id = wanted.value
