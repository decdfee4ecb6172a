-- When the next run of some queues falls due.
-- differs because SQLite has no arrays.
SELECT min(due) FROM (
    SELECT (SELECT w.due FROM live_run AS w
        WHERE w.claimable AND w.work_queue_id = wanted.value AND w.due > :now ORDER BY w.due LIMIT 1) AS due
    FROM json_each(:queues) AS wanted
)
