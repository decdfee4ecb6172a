-- An engine renews the lease of its attempt.
UPDATE attempt SET lease_end = :until, started = coalesce(started, :now)
WHERE flow_run_id = :flow_run_id AND number = :number AND ended IS NULL
