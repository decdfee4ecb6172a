-- When the next run of some queues falls due.
SELECT min(due) FROM (
    SELECT (SELECT w.due FROM live_run AS w
        WHERE w.claimable AND w.work_queue_id = wanted.id AND w.due > :now ORDER BY w.due LIMIT 1) AS due
    FROM unnest(:queues::uuid[]) AS wanted (id)
) AS first
