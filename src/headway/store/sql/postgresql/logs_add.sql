-- Log lines; one whose id is known is ignored.
-- differs because PostgreSQL takes a whole batch as one array per column.
INSERT INTO log (id, created, updated, name, level, message, timestamp, flow_run_id, task_run_id, attempt, position)
SELECT * FROM unnest(
    :id::text[]::uuid[], :created::bigint[], :updated::bigint[], :name::text[], :level::integer[], :message::text[],
    :timestamp::bigint[], :flow_run_id::text[]::uuid[], :task_run_id::text[]::uuid[], :attempt::integer[],
    :position::bigint[]
)
ON CONFLICT (id) DO NOTHING
