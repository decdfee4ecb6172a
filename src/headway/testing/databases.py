"""Which database a test's folder stands for: a SQLite file in it, or a PostgreSQL database that it names.

A suite that is to pass on both databases asks `url_of(folder)` and is run twice; for PostgreSQL, `point_to` comes
first. `SharedDatabase` is one migrated database for many tests, emptied before each, because making one takes longer
than most tests do.
"""

from __future__ import annotations

from pathlib import Path

import psycopg

from headway.store.database import Database
from headway.store.migrate import RECORD, TELEMETRY, migrate
from headway.store.presence import Presence
from headway.store.tables import metadata, telemetry
from headway.testing.postgres import Cluster

__all__ = ["SharedDatabase", "point_to", "url_of"]

POINTER = "database-url"


def point_to(folder: Path, url: str) -> None:
    """From now on the folder's database is that one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / POINTER).write_text(url)


def url_of(folder: Path) -> str:
    """The URL of the folder's database."""
    pointer = folder / POINTER
    return pointer.read_text() if pointer.exists() else f"sqlite:///{folder / 'headway.db'}"


class SharedDatabase:
    """A database of the cluster with Headway's schema."""

    def __init__(self, cluster: Cluster) -> None:
        self.url = cluster.new_database()
        for lineage in (RECORD, TELEMETRY):
            database = Database(self.url, name=lineage.name)
            migrate(database, lineage, Presence(self.url))
            database.engine.dispose()

    def empty(self) -> str:
        """Delete every row; the URL. Whoever used it before must have closed it."""
        tables = [*metadata.tables, *telemetry.tables]
        deletions = "; ".join(f"DELETE FROM {table}" for table in tables)
        with psycopg.connect(self.url, autocommit=True) as connection:
            # Without triggers: no constraint is looked at, whatever the order.
            connection.execute(f"SET session_replication_role = replica; {deletions}".encode())
        return self.url
