-- How many slots of each limit are taken: there are no counters, so none can drift.
SELECT limit_id, count(*) FROM slot WHERE limit_id = ANY(:ids) GROUP BY limit_id
