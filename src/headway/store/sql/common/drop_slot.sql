-- A run gives its place in a limit back.
DELETE FROM slot WHERE limit_id = :limit_id AND flow_run_id = :flow_run_id
