-- The attempt that a slot belongs to.
UPDATE slot SET attempt = :attempt WHERE limit_id = :limit_id AND flow_run_id = :flow_run_id
