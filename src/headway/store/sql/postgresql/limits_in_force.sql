-- The limits that count for some runs: (kind, id) of pools, queues and deployments that have one.
WITH wanted (id) AS (
    SELECT unnest(ARRAY[work_pool_id, work_queue_id, deployment_id]) FROM flow_run WHERE id = ANY(:runs::uuid[])
)
SELECT 'pool', id FROM work_pool WHERE concurrency_limit IS NOT NULL AND id IN (SELECT id FROM wanted)
UNION ALL
SELECT 'queue', id FROM work_queue WHERE concurrency_limit IS NOT NULL AND id IN (SELECT id FROM wanted)
UNION ALL
SELECT 'deployment', id FROM deployment WHERE concurrency_limit IS NOT NULL AND id IN (SELECT id FROM wanted)
