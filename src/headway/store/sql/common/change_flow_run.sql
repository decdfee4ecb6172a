-- What a decision changes in a flow run; its policy only where it is given.
UPDATE flow_run SET
    state_id = :state_id, state_type = :state_type, state_name = :state_name, state_timestamp = :state_timestamp,
    run_count = :run_count, expected_start_time = :expected_start_time,
    next_scheduled_start_time = :next_scheduled_start_time, start_time = :start_time, end_time = :end_time,
    total_run_time = :total_run_time, infrastructure_pid = :infrastructure_pid, updated = :updated,
    empirical_policy = coalesce(:empirical_policy, empirical_policy)
WHERE id = :id
