"""Migrations: from nothing, not twice, never a newer schema, never under another process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import IntegrityError

from headway.core.errors import DatabaseCorrupted, DatabaseTooNew, StoreError
from headway.store.database import Database, check_usable
from headway.store.migrate import RECORD, TELEMETRY, Lineage, current, migrate
from headway.store.presence import Presence


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'headway.db'}")
    yield opened
    opened.engine.dispose()


def upgrade(database: Database, lineage: Lineage = RECORD) -> str | None:
    return migrate(database, lineage, Presence(database.url))


def set_revision(database: Database, revision: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(text(f"UPDATE {RECORD.version_table} SET version_num = '{revision}'"))


def indexes(connection: Connection) -> dict[str, str]:
    """The indexes that were asked for, by name, as SQLite keeps their text."""
    found = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"))
    return {name: "".join(sql.replace('"', "").split()).lower() for name, sql in found}


@pytest.mark.filterwarnings("ignore:.*expression-based index")
@pytest.mark.parametrize("lineage", [RECORD, TELEMETRY], ids=lambda lineage: lineage.name)
def test_an_empty_database_gets_exactly_the_tables_of_the_code(database: Database, lineage: Lineage) -> None:
    assert upgrade(database, lineage) is None
    with database.engine.connect() as connection:
        assert current(connection, lineage) == lineage.head
        tables = set(inspect(connection).get_table_names()) - {lineage.version_table}
        assert tables == set(lineage.tables.tables)
        # Indexes are compared below: Alembic knows neither expressions nor indexes of one dialect only.
        opts = {"version_table": lineage.version_table, "include_object": lambda _, __, kind, *___: kind != "index"}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, lineage.tables) == []
        migrated = indexes(connection)
    declared = create_engine("sqlite://")
    lineage.tables.create_all(declared)
    with declared.connect() as connection:
        assert migrated == indexes(connection)
    declared.dispose()


def test_migrating_twice_changes_nothing(database: Database) -> None:
    upgrade(database)
    assert upgrade(database) == RECORD.head


def test_a_database_made_by_a_newer_headway_is_refused_by_name(database: Database) -> None:
    upgrade(database)
    set_revision(database, "9999")
    with pytest.raises(DatabaseTooNew, match=r"revision 9999.*newer Headway.*Upgrade Headway"):
        upgrade(database)
    with database.engine.connect() as connection:
        assert current(connection, RECORD) == "9999"


def test_a_file_that_others_have_open_is_not_upgraded_under_them(database: Database) -> None:
    upgrade(database)
    set_revision(database, "0000")
    other, ours = Presence(database.url), Presence(database.url)
    other.enter()
    ours.enter()
    with pytest.raises(StoreError, match=r"other processes use it\. Stop them first"):
        migrate(database, RECORD, ours)
    other.leave()
    ours.leave()


def test_the_type_of_a_pool_is_guarded_by_the_database_itself(database: Database) -> None:
    upgrade(database)
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO work_pool (id, created, updated, name, type, base_job_template, is_paused, status, "
                "storage_configuration) VALUES ('a', 1, 1, 'p', 'process', '{}', 0, 'READY', '{}')"
            )
        )
        connection.execute(text("UPDATE work_pool SET description = 'still allowed', type = 'process'"))
    with (
        pytest.raises(IntegrityError, match="the type of a work pool never changes"),
        database.engine.begin() as connection,
    ):
        connection.execute(text("UPDATE work_pool SET type = 'kubernetes'"))


def test_a_damaged_file_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    damaged = tmp_path / "headway.db"
    damaged.write_bytes(b"this is not a database, it is a note\n" * 400)
    database = Database(f"sqlite:///{damaged}")
    with pytest.raises(DatabaseCorrupted) as raised:
        check_usable(database)
    assert str(damaged) in raised.value.message
    assert "restore this one from a backup" in raised.value.message
    assert "\n" not in raised.value.message
    database.engine.dispose()
