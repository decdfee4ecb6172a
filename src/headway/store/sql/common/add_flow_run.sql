-- A new flow run. What it does not name has its column's default.
INSERT INTO flow_run (
    id, created, updated, name, flow_id, state_id, state_type, state_name, state_timestamp, deployment_id,
    deployment_version, work_pool_id, work_queue_id, work_queue_name, flow_version, parameters, idempotency_key,
    context, empirical_policy, tags, labels, parent_task_run_id, root_flow_run_id, run_count, expected_start_time,
    next_scheduled_start_time, start_time, end_time, total_run_time, auto_scheduled, infrastructure_document_id,
    infrastructure_pid, created_by, job_variables
) VALUES (
    :id, :created, :updated, :name, :flow_id, :state_id, :state_type, :state_name, :state_timestamp, :deployment_id,
    :deployment_version, :work_pool_id, :work_queue_id, :work_queue_name, :flow_version, :parameters, :idempotency_key,
    :context, :empirical_policy, :tags, :labels, :parent_task_run_id, :root_flow_run_id, :run_count,
    :expected_start_time, :next_scheduled_start_time, :start_time, :end_time, :total_run_time, :auto_scheduled,
    :infrastructure_document_id, :infrastructure_pid, :created_by, :job_variables
)
