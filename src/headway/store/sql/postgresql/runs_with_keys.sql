-- Runs that already have one of these [flow id, idempotency key] pairs.
SELECT r.id FROM jsonb_array_elements(:pairs::jsonb) AS wanted
JOIN flow_run AS r ON r.flow_id = (wanted ->> 0)::uuid AND r.idempotency_key = wanted ->> 1
