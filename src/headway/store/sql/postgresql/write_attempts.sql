-- New attempts; the parameter is a JSON array of rows.
INSERT INTO attempt (
    flow_run_id, number, token, nonce, claim_id, worker_id, worker_name, work_pool_id, handle, opened,
    reported, started, ended, outcome, counts, lease_end, worker_renewed
)
SELECT
    flow_run_id, number, token, nonce, claim_id, worker_id, worker_name, work_pool_id, handle::jsonb,
    opened, reported, started, ended, outcome::jsonb, counts, lease_end, worker_renewed
FROM json_to_recordset(:add_attempt::json) AS r (
        flow_run_id uuid, number int, token text, nonce text, claim_id uuid, worker_id uuid, worker_name
        text, work_pool_id uuid, handle text, opened bigint, reported bigint, started bigint, ended bigint,
        outcome text, counts boolean, lease_end bigint, worker_renewed bigint
    )
