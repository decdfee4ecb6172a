-- States of task runs; a report that comes again adds nothing.
-- differs because PostgreSQL takes a whole batch as one JSON text: an array per column costs the driver ten times that.
INSERT INTO task_run_state (id, task_run_id, type, name, timestamp, message, data, state_details)
SELECT
    (r->>0)::uuid, (r->>1)::uuid, r->>2, r->>3, (r->>4)::bigint, r->>5, (r->>6)::jsonb, (r->>7)::jsonb
FROM jsonb_array_elements(:rows::jsonb) AS r
ON CONFLICT (id) DO NOTHING
