-- The live attempts of some runs: a renewal waits for the decision, and a decision for the renewal.
SELECT number FROM attempt WHERE flow_run_id = ANY(:runs::uuid[]) AND ended IS NULL
ORDER BY flow_run_id FOR NO KEY UPDATE
