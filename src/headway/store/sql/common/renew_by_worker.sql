-- A worker vouches for its attempt.
UPDATE attempt SET lease_end = :until, worker_renewed = :now, worker_id = :worker_id, worker_name = :worker_name
WHERE flow_run_id = :flow_run_id AND number = :number AND ended IS NULL
