-- The run is final.
DELETE FROM live_run WHERE flow_run_id = :flow_run_id
