-- Everything an idle replica asks, in one statement: the time, which loops have something to do, and when runs fall
-- due in pools that somebody waits for. It also says that this replica is there to be reached, unless it was not for
-- too long, which is for the reaper to say.
WITH beat AS (
    UPDATE server_beat SET beat = :now WHERE name = 'reaper' AND beat BETWEEN :reachable AND :now::bigint - 1
)
SELECT
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    EXISTS (SELECT FROM attempt WHERE ended IS NULL)
        AND NOT EXISTS (SELECT FROM server_beat WHERE name = 'reaper' AND beat >= :reachable)
        OR EXISTS (SELECT FROM attempt WHERE ended IS NULL AND lease_end < :now)
        OR EXISTS (
            SELECT FROM attempt
            WHERE ended IS NULL AND handle IS NOT NULL AND worker_renewed < :unvouched
                AND work_pool_id = ANY(:pools::uuid[])
        ) AS reaper,
    EXISTS (
        SELECT FROM live_run
        WHERE state_type = 'SCHEDULED' AND state_name = 'Scheduled' AND claimable AND due < :late
    ) AS late,
    EXISTS (SELECT FROM live_run WHERE state_type = 'PAUSED' AND due < :now) AS pauses,
    EXISTS (SELECT FROM live_run WHERE state_type = 'CANCELLING') AS cancellations,
    EXISTS (
        SELECT FROM worker
        WHERE status = 'ONLINE' AND last_heartbeat_time + :missed::bigint * 1000000 * heartbeat_interval_seconds < :now
    )
        OR EXISTS (SELECT FROM work_queue WHERE status = 'READY' AND coalesce(last_polled, 0) < :silent)
        OR EXISTS (SELECT FROM deployment WHERE status = 'READY' AND coalesce(last_polled, 0) < :silent)
        OR EXISTS (
            SELECT FROM work_pool
            WHERE type <> 'prefect-agent' AND status <> CASE
                WHEN is_paused THEN 'PAUSED'
                WHEN EXISTS (
                    SELECT FROM worker WHERE work_pool_id = work_pool.id AND status = 'ONLINE'
                ) THEN 'READY'
                ELSE 'NOT_READY'
            END
        ) AS status,
    (
        SELECT coalesce(json_agg(json_build_array(pool, due)), '[]')
        FROM (
            SELECT work_pool_id AS pool, min((
                SELECT min(due) FROM live_run WHERE claimable AND work_queue_id = work_queue.id
            )) AS due
            FROM work_queue
            WHERE work_pool_id = ANY(:pools::uuid[]) AND NOT is_paused
            GROUP BY work_pool_id
        ) AS waiting
        WHERE due < :soon
    )
