-- Add up the oldest changes of the tally. Who deletes a row adds it up: safe beside others that do the same.
WITH gone AS (
    DELETE FROM flow_run_tally
    WHERE seq IN (SELECT seq FROM flow_run_tally ORDER BY seq LIMIT :page::bigint)
    RETURNING flow_id, deployment_id, work_pool_id, work_queue_id, state_type, state_name, runs
)
INSERT INTO flow_run_tally (flow_id, deployment_id, work_pool_id, work_queue_id, state_type, state_name, runs)
SELECT flow_id, deployment_id, work_pool_id, work_queue_id, state_type, state_name, sum(runs)
FROM gone
GROUP BY flow_id, deployment_id, work_pool_id, work_queue_id, state_type, state_name
HAVING sum(runs) <> 0
