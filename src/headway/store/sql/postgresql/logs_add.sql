-- Log lines; one whose id is known is ignored.
-- differs because PostgreSQL takes a whole batch as one JSON text: an array per column costs the driver ten times that.
INSERT INTO log (id, created, updated, name, level, message, timestamp, flow_run_id, task_run_id, attempt, position)
SELECT
    (r->>0)::uuid, (r->>1)::bigint, (r->>2)::bigint, r->>3, (r->>4)::integer, r->>5, (r->>6)::bigint,
    (r->>7)::uuid, (r->>8)::uuid, (r->>9)::integer, (r->>10)::bigint
FROM jsonb_array_elements(:rows::jsonb) AS r
ON CONFLICT (id) DO NOTHING
