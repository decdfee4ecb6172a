-- Task runs of flow runs as they are now: a row moves on to a later state of the same attempt of its flow run,
-- or to any state of a later attempt (DESIGN §3); what an engine leaves out stays known.
-- differs because SQLite binds a row per step of one prepared statement, which is faster here than json_each.
INSERT INTO task_run (
    id, created, updated, flow_run_id, attempt, name, task_key, dynamic_key, cache_key, cache_expiration,
    task_version, empirical_policy, tags, labels, task_inputs, state_id, state_type, state_name,
    state_timestamp, run_count, flow_run_run_count, expected_start_time, next_scheduled_start_time,
    start_time, end_time, total_run_time
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (flow_run_id, task_key, dynamic_key) DO UPDATE SET
    updated = excluded.updated, attempt = excluded.attempt, name = excluded.name,
    cache_key = coalesce(excluded.cache_key, task_run.cache_key),
    cache_expiration = coalesce(excluded.cache_expiration, task_run.cache_expiration),
    task_version = coalesce(excluded.task_version, task_run.task_version),
    empirical_policy = excluded.empirical_policy, tags = excluded.tags, labels = excluded.labels,
    task_inputs = excluded.task_inputs, state_id = excluded.state_id, state_type = excluded.state_type,
    state_name = excluded.state_name, state_timestamp = excluded.state_timestamp,
    run_count = excluded.run_count, flow_run_run_count = excluded.flow_run_run_count,
    expected_start_time = coalesce(task_run.expected_start_time, excluded.expected_start_time),
    next_scheduled_start_time = excluded.next_scheduled_start_time, start_time = excluded.start_time,
    end_time = excluded.end_time, total_run_time = excluded.total_run_time
WHERE coalesce(excluded.attempt, 0) > coalesce(task_run.attempt, 0)
    OR (coalesce(excluded.attempt, 0) = coalesce(task_run.attempt, 0)
        AND (task_run.state_timestamp IS NULL OR task_run.state_timestamp < excluded.state_timestamp))
