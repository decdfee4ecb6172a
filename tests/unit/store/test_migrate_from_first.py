"""Migrations of what the first release left: ten thousand runs, on both databases, with nothing lost or changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, func, select, text

from headway.store.database import Database
from headway.store.migrate import RECORD, TELEMETRY, Lineage, current, migrate
from headway.store.presence import Presence
from headway.store.tables import flow_run, flow_run_tally
from headway.testing.first_schema import digest, make
from headway.testing.postgres import Cluster

RUNS = 10_000


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'headway.db'}"
    cluster: Cluster = request.getfixturevalue("postgres")
    return cluster.new_database()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.engine.dispose()


def upgrade(database: Database, lineage: Lineage) -> str | None:
    return migrate(database, lineage, Presence(database.url))


@pytest.mark.parametrize("lineage", [RECORD, TELEMETRY], ids=lambda lineage: lineage.name)
def test_a_database_of_the_first_release_keeps_every_row_as_it_was(database: Database, lineage: Lineage) -> None:
    make(database, lineage, RUNS)
    before, columns = digest(database)
    assert sum(count for count, _ in before.values()) > RUNS
    assert upgrade(database, lineage) == "0001"
    after, _ = digest(database, columns)
    assert after == before
    if lineage is RECORD:
        assert before["flow_run"][0] == RUNS
        assert tallied(database) == ended(database)


def tallied(database: Database) -> int:
    with database.engine.connect() as connection:
        return int(connection.execute(select(func.sum(flow_run_tally.c.runs))).scalar_one())


def ended(database: Database) -> int:
    with database.engine.connect() as connection:
        final = flow_run.c.state_type.in_(("COMPLETED", "FAILED", "CANCELLED", "CRASHED"))
        return int(connection.execute(select(func.count()).select_from(flow_run).where(final)).scalar_one())


def test_both_databases_hold_the_same_after_migrating_the_same(tmp_path: Path, postgres: Cluster) -> None:
    digests = []
    for url in (f"sqlite:///{tmp_path / 'headway.db'}", postgres.new_database()):
        database = Database(url)
        make(database, RECORD, 200)
        _, columns = digest(database)
        upgrade(database, RECORD)
        digests.append(digest(database, {name: sorted(names) for name, names in columns.items()})[0])
        database.engine.dispose()
    assert digests[0].keys() == digests[1].keys()
    counts = [{name: count for name, (count, _) in found.items()} for found in digests]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("lineage", [RECORD, TELEMETRY], ids=lambda lineage: lineage.name)
def test_an_empty_postgresql_gets_exactly_the_tables_of_the_code(postgres: Cluster, lineage: Lineage) -> None:
    database = Database(postgres.new_database())
    assert upgrade(database, lineage) is None
    assert upgrade(database, lineage) == lineage.head
    with database.engine.connect() as connection:
        assert current(connection, lineage) == lineage.head
        options = {"version_table": lineage.version_table, "include_name": is_ours}
        context = MigrationContext.configure(connection, opts=options)
        # Indexes by name: several of one name, each for one database, are beyond Alembic.
        assert [found for found in compare_metadata(context, lineage.tables) if "_index" not in str(found[0])] == []
        assert indexes(connection) == {
            str(index.name) for table in lineage.tables.tables.values() for index in table.indexes
        }
    database.engine.dispose()


def is_ours(name: str | None, kind: str, _: object) -> bool:
    return not (kind == "table" and name is not None and name.startswith("headway_"))


def indexes(connection: Connection) -> set[str]:
    found = (
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indexrelid::regclass::text ~ '^(ix|uq)_' "
        "AND indexrelid NOT IN (SELECT conindid FROM pg_constraint)"
    )
    return set(connection.exec_driver_sql(found).scalars())


def test_an_older_server_that_uses_a_postgresql_keeps_it_from_being_upgraded(postgres: Cluster) -> None:
    url = postgres.new_database()
    old, new = Database(url), Database(url)
    make(old, RECORD, 10)
    with old.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        with pytest.raises(Exception, match=r"other servers use it\. Stop them first"):
            upgrade(new, RECORD)
    old.engine.dispose()
    assert upgrade(new, RECORD) == "0001"
    new.engine.dispose()
