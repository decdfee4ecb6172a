"""How durable a commit of this very connection is, as the database itself tells."""

from __future__ import annotations

from sqlalchemy import Connection

_SYNCHRONOUS = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}
_POSTGRESQL = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method")


def durability(connection: Connection) -> dict[str, str]:
    """SQLite: journal_mode, synchronous. PostgreSQL: fsync, synchronous_commit, full_page_writes, wal_sync_method."""
    if connection.dialect.name == "sqlite":
        # differs because SQLite's durability is a matter of each connection, PostgreSQL's of server and session.
        return {
            "database": "sqlite",
            "journal_mode": str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()),
            "synchronous": _SYNCHRONOUS[int(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())],
        }
    told = {name: str(connection.exec_driver_sql(f"SHOW {name}").scalar_one()) for name in _POSTGRESQL}
    return {"database": "postgresql", **told}
