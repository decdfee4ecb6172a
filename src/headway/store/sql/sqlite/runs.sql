-- The facts of some runs: columns that rules look at, current state, what their live row adds.
-- differs because SQLite has no arrays; CROSS JOIN keeps the few ids the outer loop.
SELECT r.id, r.state_id, s.type, s.name, s.message, s.data, s.state_details, s.timestamp,
       r.run_count, r.expected_start_time, r.next_scheduled_start_time, r.start_time, r.end_time, r.total_run_time,
       r.empirical_policy, r.flow_id, r.deployment_id, r.work_pool_id, r.work_queue_id, r.parent_task_run_id,
       r.root_flow_run_id, r.infrastructure_pid, l.retries_used, l.start_failures, r.idempotency_key
FROM json_each(:ids) AS wanted
CROSS JOIN flow_run AS r ON r.id = wanted.value
LEFT JOIN flow_run_state AS s ON s.id = r.state_id
LEFT JOIN live_run AS l ON l.flow_run_id = r.id
