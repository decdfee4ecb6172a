"""Brings a database to this version's schema, and refuses one that is newer.

The record and the telemetry each have their own line of revisions and their own version table, so
that they may share one PostgreSQL database or live in two SQLite files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, MetaData, inspect, text

from headway.core.errors import DatabaseTooNew, StoreError
from headway.store import postgresql
from headway.store.database import Database
from headway.store.presence import Presence
from headway.store.tables import metadata, telemetry


@dataclass(frozen=True, slots=True)
class Lineage:
    """One line of migrations: its folder, its tables, its newest revision."""

    name: str
    tables: MetaData
    version_table: str
    head: str

    @property
    def folder(self) -> Path:
        return Path(__file__).parent / "migrations" / self.name


_MIGRATING = 0x68776179_00
"""Key of PostgreSQL's advisory lock that lets one server at a time look whether to migrate."""

RECORD = Lineage("record", metadata, "headway_version", head="0002")
TELEMETRY = Lineage("telemetry", telemetry, "headway_telemetry_version", head="0001")


def migrate(database: Database, lineage: Lineage, presence: Presence) -> str | None:
    """Upgrade to `lineage.head`; returns the revision before, None for an empty database.

    Raises:
        DatabaseTooNew: the database carries a revision this version does not know.
        StoreError: it has to be upgraded and other processes use it.
    """
    with database.engine.connect() as connection:
        before = current(connection, lineage)
    if before == lineage.head:
        return before
    if before is not None:
        presence.be_alone()
    try:
        return _migrate(database, lineage)
    finally:
        presence.share_again()


def _migrate(database: Database, lineage: Lineage) -> str | None:
    engine = database.engine
    if not database.is_sqlite:
        # differs because every connection of the pool says that somebody uses the database: this one does not.
        engine.dispose()
        engine = postgresql.engine(database.url, 0)
    with engine.connect() as connection:
        connection.info["headway_writes"] = True  # the lock first: two servers may start at once
        with connection.begin():
            if not database.is_sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
            before = current(connection, lineage)
            if before != lineage.head:
                if before is not None and not database.is_sqlite:
                    _be_alone(connection, lineage)
                _upgrade(connection, lineage, before)
    return before


def _be_alone(connection: Connection, lineage: Lineage) -> None:
    """Until the end of the transaction; whoever connects meanwhile waits."""
    taken = f"SELECT pg_try_advisory_xact_lock({postgresql.PRESENCE[lineage.name]})"
    if not connection.exec_driver_sql(taken).scalar_one():
        raise StoreError(
            "This database was made by an older Headway and has to be upgraded, but other servers use it. "
            "Stop them first, then start this one again."
        )


def current(connection: Connection, lineage: Lineage) -> str | None:
    """The revision the database is at; None if it has never been migrated."""
    if not inspect(connection).has_table(lineage.version_table):
        return None
    return connection.execute(text(f"SELECT version_num FROM {lineage.version_table}")).scalar()


def _upgrade(connection: Connection, lineage: Lineage, before: str | None) -> None:
    # Here, not above: Alembic costs a second to import and most starts have nothing to migrate.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(lineage.folder))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    known = {revision.revision for revision in script.walk_revisions()}
    if before is not None and before not in known:
        raise DatabaseTooNew(
            f"The database is at schema revision {before}, which this version of Headway does not know "
            f"(it knows up to {lineage.head}): a newer Headway made it. Upgrade Headway, or use another database."
        )
    config.attributes.update(connection=connection, metadata=lineage.tables, version_table=lineage.version_table)
    command.upgrade(config, lineage.head)
