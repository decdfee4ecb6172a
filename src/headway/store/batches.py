"""Many rows with one named statement (store/sql), given as the driver has them: hex ids, microseconds, JSON text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from headway.store.hot import tamed
from headway.store.sql import statement

__all__ = ["json_text", "read_ids", "write_rows"]

_encode = msgspec.json.Encoder().encode


def write_rows(connection: Connection, name: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run a statement over rows, whose values are in the order of its columns; no rows, no statement."""
    if not rows:
        return
    dialect = connection.dialect.name
    if dialect == "postgresql":
        # differs because its driver binds arrays, and rows, value by value in Python.
        text = json_text(rows)
        if "u0000" in text:  # what was said is recorded, though PostgreSQL keeps no NUL
            text = json_text([[tamed(value) if isinstance(value, str) else value for value in row] for row in rows])
        connection.exec_driver_sql(statement(dialect, name), {"rows": text})
    else:
        connection.exec_driver_sql(statement(dialect, name), list(rows))


def read_ids(connection: Connection, name: str, ids: list[str]) -> Sequence[Any]:
    """All rows that a statement finds for `:ids`, which are 32 hex digits each."""
    dialect = connection.dialect.name
    # differs because SQLite has no arrays.
    given: Any = ids if dialect == "postgresql" else json_text(ids)
    return connection.exec_driver_sql(statement(dialect, name), {"ids": given}).all()


def json_text(value: Any) -> str:
    """A JSON column's value."""
    return _encode(value).decode()
