-- A run that is not final: the narrow row in which work is found.
INSERT INTO live_run (
    flow_run_id, state_type, state_name, work_pool_id, work_queue_id, deployment_id, due, claimable, attempt,
    state_since, retries_used, start_failures
) VALUES (
    :flow_run_id, :state_type, :state_name, :work_pool_id, :work_queue_id, :deployment_id, :due, :claimable, :attempt,
    :state_since, :retries_used, :start_failures
)
