-- One state of the history of a flow run; states are never changed.
INSERT INTO flow_run_state (id, flow_run_id, type, name, timestamp, message, data, state_details, attempt)
VALUES (:id, :flow_run_id, :type, :name, :timestamp, :message, :data, :state_details, :attempt)
