-- A new attempt.
INSERT INTO attempt (
    flow_run_id, number, token, nonce, claim_id, worker_id, worker_name, work_pool_id, handle, opened, reported,
    started, ended, outcome, counts, lease_end, worker_renewed
) VALUES (
    :flow_run_id, :number, :token, :nonce, :claim_id, :worker_id, :worker_name, :work_pool_id, :handle, :opened,
    :reported, :started, :ended, :outcome, :counts, :lease_end, :worker_renewed
)
