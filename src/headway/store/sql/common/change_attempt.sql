-- All that a decision can change in an attempt.
UPDATE attempt SET
    token = :token, nonce = :nonce, claim_id = :claim_id, worker_id = :worker_id, worker_name = :worker_name,
    work_pool_id = :work_pool_id, handle = :handle, opened = :opened, reported = :reported, started = :started,
    ended = :ended, outcome = :outcome, counts = :counts, lease_end = :lease_end, worker_renewed = :worker_renewed
WHERE flow_run_id = :flow_run_id AND number = :number
