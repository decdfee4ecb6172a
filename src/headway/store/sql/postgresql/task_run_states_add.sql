-- States of task runs; a report that comes again adds nothing.
-- differs because PostgreSQL takes a whole batch as one array per column.
INSERT INTO task_run_state (id, task_run_id, type, name, timestamp, message, data, state_details)
SELECT * FROM unnest(
    :id::text[]::uuid[], :task_run_id::text[]::uuid[], :type::text[], :name::text[], :timestamp::bigint[],
    :message::text[], :data::text[]::jsonb[], :state_details::text[]::jsonb[]
)
ON CONFLICT (id) DO NOTHING
