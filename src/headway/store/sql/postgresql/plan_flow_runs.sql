-- Runs that schedules planned, unless there are any of their keys: another server may have planned them too.
-- differs because a statement costs PostgreSQL a round trip: here it is one for all (common: plan_flow_run.sql).
INSERT INTO flow_run (
    id, created, updated, name, flow_id, state_id, state_type, state_name, state_timestamp, deployment_id,
    deployment_version, schedule_id, work_pool_id, work_queue_id, work_queue_name, parameters, idempotency_key, context,
    empirical_policy, tags, labels, run_count, expected_start_time, next_scheduled_start_time, total_run_time,
    auto_scheduled, infrastructure_document_id, created_by, job_variables
)
SELECT
    id, created, created, name, flow_id, state_id, state_type, state_name, created, deployment_id,
    deployment_version, schedule_id, work_pool_id, work_queue_id, work_queue_name, parameters::jsonb, idempotency_key,
    '{}', empirical_policy::jsonb, tags::jsonb, labels::jsonb, 0, due, due, 0.0, auto_scheduled,
    infrastructure_document_id, created_by::jsonb, '{}'
FROM json_to_recordset(:rows::json) AS r (
    id uuid, created bigint, name text, flow_id uuid, state_id uuid, state_type text, state_name text,
    deployment_id uuid, deployment_version text, schedule_id uuid, work_pool_id uuid, work_queue_id uuid,
    work_queue_name text, parameters text, idempotency_key text, empirical_policy text, tags text, labels text,
    due bigint, auto_scheduled boolean, infrastructure_document_id uuid, created_by text
)
ON CONFLICT (flow_id, idempotency_key) DO NOTHING
