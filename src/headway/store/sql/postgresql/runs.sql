-- The facts of some runs: columns that rules look at, current state, what their live row adds.
-- JSON comes as text: it is parsed by us. Whoever is about to decide has locked the runs (store/locks.py).
SELECT r.id, r.state_id, s.type, s.name, s.message, s.data::text, s.state_details::text, s.timestamp,
       r.run_count, r.expected_start_time, r.next_scheduled_start_time, r.start_time, r.end_time, r.total_run_time,
       r.empirical_policy::text, r.flow_id, r.deployment_id, r.work_pool_id, r.work_queue_id, r.parent_task_run_id,
       r.root_flow_run_id, r.infrastructure_pid, l.retries_used, l.start_failures, r.idempotency_key
FROM flow_run AS r
LEFT JOIN flow_run_state AS s ON s.id = r.state_id
LEFT JOIN live_run AS l ON l.flow_run_id = r.id
WHERE r.id = ANY(:ids::uuid[])
