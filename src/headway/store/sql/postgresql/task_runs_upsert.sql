-- Task runs of flow runs as they are now: a row moves on to a later state of the same attempt of its flow run,
-- or to any state of a later attempt (DESIGN §3); what an engine leaves out stays known.
-- differs because PostgreSQL takes a whole batch as one JSON text: an array per column costs the driver ten times that.
INSERT INTO task_run (
    id, created, updated, flow_run_id, attempt, name, task_key, dynamic_key, cache_key, cache_expiration,
    task_version, empirical_policy, tags, labels, task_inputs, state_id, state_type, state_name,
    state_timestamp, run_count, flow_run_run_count, expected_start_time, next_scheduled_start_time,
    start_time, end_time, total_run_time
)
SELECT
    (r->>0)::uuid, (r->>1)::bigint, (r->>2)::bigint, (r->>3)::uuid, (r->>4)::integer, r->>5, r->>6, r->>7,
    r->>8, (r->>9)::bigint, r->>10, (r->>11)::jsonb, (r->>12)::jsonb, (r->>13)::jsonb, (r->>14)::jsonb,
    (r->>15)::uuid, r->>16, r->>17, (r->>18)::bigint, (r->>19)::integer, (r->>20)::integer, (r->>21)::bigint,
    (r->>22)::bigint, (r->>23)::bigint, (r->>24)::bigint, (r->>25)::float8
FROM jsonb_array_elements(:rows::jsonb) AS r
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
