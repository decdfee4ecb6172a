-- What runs of some deployments are made from: all of it, and nothing that polling changes.
SELECT d.id, d.name, d.flow_id, d.version, d.work_pool_id, d.work_queue_id, d.work_queue_name,
       d.infrastructure_document_id, d.enforce_parameter_schema, d.retries, d.retry_delay, d.retry_on_crash,
       d.parameters::text, d.parameter_openapi_schema::text, d.tags::text, d.labels::text, d.job_variables::text,
       p.name, p.base_job_template::text
FROM deployment AS d
LEFT JOIN work_pool AS p ON p.id = d.work_pool_id
WHERE d.id = ANY(:ids::uuid[])
