"""Invariants that only a trigger can keep, per dialect."""

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
