-- All that a batch of decisions writes, in one statement: each parameter is a JSON array of rows.
-- differs because a statement costs PostgreSQL a round trip and SQLite nothing; new attempts come after it, because
-- the one before must have ended by then (write_attempts).
WITH added AS (
    INSERT INTO flow_run (
        id, created, updated, name, flow_id, state_id, state_type, state_name, state_timestamp, deployment_id,
        deployment_version, work_pool_id, work_queue_id, work_queue_name, flow_version, parameters,
        idempotency_key, context, empirical_policy, tags, labels, parent_task_run_id, root_flow_run_id,
        run_count, expected_start_time, next_scheduled_start_time, start_time, end_time, total_run_time,
        auto_scheduled, infrastructure_document_id, infrastructure_pid, created_by, job_variables
    )
    SELECT
        id, created, updated, name, flow_id, state_id, state_type, state_name, state_timestamp, deployment_id,
        deployment_version, work_pool_id, work_queue_id, work_queue_name, flow_version, parameters::jsonb,
        idempotency_key, context::jsonb, empirical_policy::jsonb, tags::jsonb, labels::jsonb,
        parent_task_run_id, root_flow_run_id, run_count, expected_start_time, next_scheduled_start_time,
        start_time, end_time, total_run_time, auto_scheduled, infrastructure_document_id, infrastructure_pid,
        created_by::jsonb, job_variables::jsonb
    FROM json_to_recordset(:add_flow_run::json) AS r (
            id uuid, created bigint, updated bigint, name text, flow_id uuid, state_id uuid, state_type text,
            state_name text, state_timestamp bigint, deployment_id uuid, deployment_version text, work_pool_id
            uuid, work_queue_id uuid, work_queue_name text, flow_version text, parameters text, idempotency_key
            text, context text, empirical_policy text, tags text, labels text, parent_task_run_id uuid,
            root_flow_run_id uuid, run_count int, expected_start_time bigint, next_scheduled_start_time bigint,
            start_time bigint, end_time bigint, total_run_time float8, auto_scheduled boolean,
            infrastructure_document_id uuid, infrastructure_pid text, created_by text, job_variables text
        )
),
changed AS (
    UPDATE flow_run SET
        state_id = r.state_id, state_type = r.state_type, state_name = r.state_name, state_timestamp =
        r.state_timestamp, run_count = r.run_count, expected_start_time = r.expected_start_time,
        next_scheduled_start_time = r.next_scheduled_start_time, start_time = r.start_time, end_time =
        r.end_time, total_run_time = r.total_run_time, infrastructure_pid = r.infrastructure_pid, updated =
        r.updated, empirical_policy = coalesce(r.empirical_policy::jsonb, flow_run.empirical_policy)
    FROM json_to_recordset(:change_flow_run::json) AS r (
            id uuid, state_id uuid, state_type text, state_name text, state_timestamp bigint, run_count int,
            expected_start_time bigint, next_scheduled_start_time bigint, start_time bigint, end_time bigint,
            total_run_time float8, infrastructure_pid text, updated bigint, empirical_policy text
        )
    WHERE flow_run.id = r.id
),
gone AS (
    DELETE FROM live_run USING json_to_recordset(:drop_live_run::json) AS r (
            flow_run_id uuid
        )
    WHERE live_run.flow_run_id = r.flow_run_id
),
appeared AS (
    INSERT INTO live_run (
        flow_run_id, state_type, state_name, work_pool_id, work_queue_id, deployment_id, due, claimable,
        attempt, state_since, retries_used, start_failures
    )
    SELECT
        flow_run_id, state_type, state_name, work_pool_id, work_queue_id, deployment_id, due, claimable,
        attempt, state_since, retries_used, start_failures
    FROM json_to_recordset(:add_live_run::json) AS r (
            flow_run_id uuid, state_type text, state_name text, work_pool_id uuid, work_queue_id uuid,
            deployment_id uuid, due bigint, claimable boolean, attempt int, state_since bigint, retries_used
            int, start_failures int
        )
),
moved AS (
    UPDATE live_run SET
        state_type = r.state_type, state_name = r.state_name, due = r.due, claimable = r.claimable, attempt =
        r.attempt, state_since = r.state_since, retries_used = r.retries_used, start_failures = r.start_failures
    FROM json_to_recordset(:change_live_run::json) AS r (
            flow_run_id uuid, state_type text, state_name text, due bigint, claimable boolean, attempt int,
            state_since bigint, retries_used int, start_failures int
        )
    WHERE live_run.flow_run_id = r.flow_run_id
),
told AS (
    INSERT INTO flow_run_state (
        id, flow_run_id, type, name, "timestamp", message, data, state_details, attempt
    )
    SELECT
        id, flow_run_id, type, name, timestamp, message, data::jsonb, state_details::jsonb, attempt
    FROM json_to_recordset(:add_flow_run_state::json) AS r (
            id uuid, flow_run_id uuid, type text, name text, timestamp bigint, message text, data text,
            state_details text, attempt int
        )
),
went_on AS (
    UPDATE attempt SET
        token = r.token, nonce = r.nonce, claim_id = r.claim_id, worker_id = r.worker_id, worker_name =
        r.worker_name, work_pool_id = r.work_pool_id, handle = r.handle::jsonb, opened = r.opened, reported =
        r.reported, started = r.started, ended = r.ended, outcome = r.outcome::jsonb, counts = r.counts,
        lease_end = r.lease_end, worker_renewed = r.worker_renewed
    FROM json_to_recordset(:change_attempt::json) AS r (
            flow_run_id uuid, number int, token text, nonce text, claim_id uuid, worker_id uuid, worker_name
            text, work_pool_id uuid, handle text, opened bigint, reported bigint, started bigint, ended bigint,
            outcome text, counts boolean, lease_end bigint, worker_renewed bigint
        )
    WHERE attempt.flow_run_id = r.flow_run_id AND attempt.number = r.number
),
freed AS (
    DELETE FROM slot USING json_to_recordset(:drop_slot::json) AS r (
            flow_run_id uuid, limit_id uuid
        )
    WHERE slot.limit_id = r.limit_id AND slot.flow_run_id = r.flow_run_id
),
taken_up AS (
    INSERT INTO slot (
        flow_run_id, limit_id, kind, attempt, lease_id, taken
    )
    SELECT
        flow_run_id, limit_id, kind, attempt, lease_id, taken
    FROM json_to_recordset(:add_slot::json) AS r (
            flow_run_id uuid, limit_id uuid, kind text, attempt int, lease_id uuid, taken bigint
        )
),
handed_on AS (
    UPDATE slot SET
        attempt = r.attempt
    FROM json_to_recordset(:change_slot::json) AS r (
            flow_run_id uuid, limit_id uuid, attempt int
        )
    WHERE slot.limit_id = r.limit_id AND slot.flow_run_id = r.flow_run_id
)
SELECT
    1
