-- Attempts of a pool whose worker has gone silent while they live on.
-- differs because JSON comes as text: it is parsed by us.
SELECT a.flow_run_id, a.number, a.token, a.handle::text, a.worker_id, a.worker_name, r.state_type
FROM attempt AS a JOIN flow_run AS r ON r.id = a.flow_run_id
WHERE a.ended IS NULL AND a.work_pool_id = :pool AND a.handle IS NOT NULL AND a.lease_end >= :now
    AND a.worker_renewed < :silence
ORDER BY a.lease_end
LIMIT :size
