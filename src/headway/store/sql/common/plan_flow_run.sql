-- A run that a schedule planned, unless there is one of that key: another server may have planned it too.
INSERT INTO flow_run (
    id, created, updated, name, flow_id, state_id, state_type, state_name, state_timestamp, deployment_id,
    deployment_version, schedule_id, work_pool_id, work_queue_id, work_queue_name, parameters, idempotency_key, context,
    empirical_policy, tags, labels, run_count, expected_start_time, next_scheduled_start_time, total_run_time,
    auto_scheduled, infrastructure_document_id, created_by, job_variables
) VALUES (
    :id, :created, :created, :name, :flow_id, :state_id, :state_type, :state_name, :created, :deployment_id,
    :deployment_version, :schedule_id, :work_pool_id, :work_queue_id, :work_queue_name, :parameters, :idempotency_key,
    '{}', :empirical_policy, :tags, :labels, 0, :due, :due, 0.0, :auto_scheduled, :infrastructure_document_id,
    :created_by, '{}'
)
ON CONFLICT (flow_id, idempotency_key) DO NOTHING
