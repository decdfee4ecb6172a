"""What the database itself knows how to do: invariants that only triggers keep, locks that are taken in one order."""

from __future__ import annotations

POOL_TYPE_MESSAGE = "the type of a work pool never changes"

_SQLITE = f"""
CREATE TRIGGER work_pool_type_is_immutable BEFORE UPDATE OF type ON work_pool
WHEN NEW.type IS NOT OLD.type
BEGIN SELECT RAISE(ABORT, '{POOL_TYPE_MESSAGE}'); END
"""

_POSTGRESQL = f"""
CREATE FUNCTION refuse_work_pool_type() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '{POOL_TYPE_MESSAGE}'; END $$;
CREATE TRIGGER work_pool_type_is_immutable BEFORE UPDATE OF type ON work_pool
FOR EACH ROW WHEN (NEW.type IS DISTINCT FROM OLD.type) EXECUTE FUNCTION refuse_work_pool_type()
"""


def pool_type_guard(dialect: str) -> str:
    """DDL that refuses any change of `work_pool.type`."""
    return _POSTGRESQL if dialect == "postgresql" else _SQLITE


LOCK = """
CREATE OR REPLACE FUNCTION headway_lock(named uuid[], starting uuid[], trees uuid[], tasks uuid[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    held uuid[] := named;
    limited uuid[];
BEGIN
    IF cardinality(tasks) > 0 THEN
        held := held || ARRAY(SELECT flow_run_id FROM task_run WHERE id = ANY(tasks) AND flow_run_id IS NOT NULL);
    END IF;
    IF cardinality(trees) > 0 THEN
        held := held || ARRAY(
            WITH RECURSIVE below (id) AS (
                SELECT unnest(trees)
                UNION
                SELECT child.id
                FROM below
                JOIN task_run ON task_run.flow_run_id = below.id
                JOIN flow_run AS child ON child.parent_task_run_id = task_run.id
                WHERE child.state_type IS NULL
                    OR child.state_type NOT IN ('COMPLETED', 'FAILED', 'CANCELLED', 'CRASHED')
            )
            SELECT id FROM below
        );
    END IF;
    IF cardinality(starting) > 0 THEN
        limited := ARRAY(
            SELECT DISTINCT unnest(ARRAY[work_pool_id, work_queue_id, deployment_id])
            FROM flow_run WHERE id = ANY(starting)
        );
        PERFORM 1 FROM work_pool WHERE id = ANY(limited) AND concurrency_limit IS NOT NULL
            ORDER BY id FOR NO KEY UPDATE;
        PERFORM 1 FROM work_queue WHERE id = ANY(limited) AND concurrency_limit IS NOT NULL
            ORDER BY id FOR NO KEY UPDATE;
        PERFORM 1 FROM deployment WHERE id = ANY(limited) AND concurrency_limit IS NOT NULL
            ORDER BY id FOR NO KEY UPDATE;
    END IF;
    IF cardinality(held) > 0 THEN
        PERFORM 1 FROM flow_run WHERE id = ANY(held) ORDER BY id FOR NO KEY UPDATE;
        PERFORM 1 FROM attempt
            WHERE flow_run_id = ANY(ARRAY(SELECT coalesce(root_flow_run_id, id) FROM flow_run WHERE id = ANY(held)))
                AND ended IS NULL
            ORDER BY flow_run_id FOR NO KEY UPDATE;
    END IF;
END $$
"""
"""PostgreSQL's locks of a batch, in one call (store/locks.py). NO KEY: rows that refer to what is locked may be
inserted meanwhile. Each statement of the function sees what was committed while the one before waited."""
