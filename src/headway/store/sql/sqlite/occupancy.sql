-- How many slots of each limit are taken: there are no counters, so none can drift.
-- differs because SQLite has no arrays: the ids come as a JSON array of 32 hex digits each.
SELECT limit_id, count(*) FROM slot WHERE limit_id IN (SELECT value FROM json_each(:ids)) GROUP BY limit_id
