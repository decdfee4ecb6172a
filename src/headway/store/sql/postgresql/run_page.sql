-- Flow runs as the wire shows them, in the order of the ids: columns as they are stored, encoded by the service.
-- JSON comes as text, which goes to the wire as it is.
SELECT r.id, r.created, r.updated, r.name, r.flow_id, r.state_id, r.deployment_id, r.deployment_version,
       r.work_queue_id, r.work_queue_name, r.flow_version, r.parameters::text, r.idempotency_key, r.context::text,
       r.empirical_policy::text, r.tags::text, r.labels::text, r.parent_task_run_id, r.state_type, r.state_name,
       r.run_count, r.expected_start_time, r.next_scheduled_start_time, r.start_time, r.end_time, r.total_run_time,
       r.state_timestamp, r.auto_scheduled, r.infrastructure_document_id, r.infrastructure_pid, r.created_by::text,
       r.work_pool_id, p.name, r.job_variables::text, s.type, s.name, s.timestamp, s.message, s.data::text,
       s.state_details::text,
       (SELECT max(a.number) FROM attempt AS a WHERE a.flow_run_id = r.id)
FROM unnest(:ids::uuid[]) WITH ORDINALITY AS wanted(id, place)
JOIN flow_run AS r ON r.id = wanted.id
LEFT JOIN flow_run_state AS s ON s.id = r.state_id
LEFT JOIN work_pool AS p ON p.id = r.work_pool_id
ORDER BY wanted.place
