-- Runs that already have one of these [flow id, idempotency key] pairs.
-- differs because SQLite has no arrays.
SELECT r.id FROM json_each(:pairs) AS wanted
CROSS JOIN flow_run AS r ON r.flow_id = wanted.value ->> 0 AND r.idempotency_key = wanted.value ->> 1
