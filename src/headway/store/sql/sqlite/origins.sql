-- What runs of some deployments are made from: all of it, and nothing that polling changes.
-- differs because SQLite has no arrays.
SELECT d.id, d.name, d.flow_id, d.version, d.work_pool_id, d.work_queue_id, d.work_queue_name,
       d.infrastructure_document_id, d.enforce_parameter_schema, d.retries, d.retry_delay, d.retry_on_crash,
       d.parameters, d.parameter_openapi_schema, d.tags, d.labels, d.job_variables, p.name, p.base_job_template
FROM json_each(:ids) AS wanted
CROSS JOIN deployment AS d ON d.id = wanted.value
LEFT JOIN work_pool AS p ON p.id = d.work_pool_id
