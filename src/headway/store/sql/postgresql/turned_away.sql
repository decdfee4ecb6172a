-- Due runs of full deployments that cancel new ones instead of letting them wait (CONTRACT §2.1 rule 8).
SELECT w.flow_run_id
FROM deployment AS d
JOIN live_run AS w ON w.deployment_id = d.id
WHERE d.work_pool_id = :pool AND d.concurrency_limit > 0 AND d.concurrency_options IS NOT NULL
    AND d.concurrency_options ->> 'collision_strategy' = 'CANCEL_NEW'
    AND (SELECT count(*) FROM slot AS s WHERE s.limit_id = d.id) >= d.concurrency_limit
    AND w.claimable AND w.due <= :now AND w.work_queue_id = ANY(:queues::uuid[])
LIMIT :size
