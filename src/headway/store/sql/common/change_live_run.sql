-- Where a run stands that was and is not final; its place changes with its deployment's only.
UPDATE live_run SET
    state_type = :state_type, state_name = :state_name, due = :due, claimable = :claimable, attempt = :attempt,
    state_since = :state_since, retries_used = :retries_used, start_failures = :start_failures
WHERE flow_run_id = :flow_run_id
