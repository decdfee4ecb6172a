"""INSERT … ON CONFLICT, which SQLAlchemy has once per dialect."""

from __future__ import annotations

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import sqlite

__all__ = ["insert_or"]


def insert_or(connection: Connection, table: Table) -> sqlite.Insert:
    """An insert for this database that has `on_conflict_do_nothing` and `on_conflict_do_update`."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # costs servers on SQLite a tenth of their start

        # differs because SQLAlchemy spells the same clause in two classes with the same methods.
        return postgresql.insert(table)  # type: ignore[return-value]
    return sqlite.insert(table)
