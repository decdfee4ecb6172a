-- When the scheduler has to look at a schedule again.
UPDATE deployment_schedule SET look_at = :look_at WHERE id = :id
