-- What claims have taken before.
SELECT a.claim_id, a.flow_run_id, a.number, a.token, a.ended
FROM attempt AS a WHERE a.claim_id = ANY(:ids::uuid[])
