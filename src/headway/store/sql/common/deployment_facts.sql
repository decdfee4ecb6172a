-- What a deployment that is to be saved meets: its flow's labels, the one of its name, its pool's name.
SELECT CAST(f.labels AS text), d.id, p.name
FROM flow AS f
LEFT JOIN deployment AS d ON d.flow_id = f.id AND d.name = :name
LEFT JOIN work_pool AS p ON p.id = :pool_id
WHERE f.id = :flow_id
