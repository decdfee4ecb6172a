"""PostgreSQL: what is said when it cannot be used, and what happens to transactions that meet."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest
from sqlalchemy import Connection, insert, select, text, update

from headway.core.errors import Invalid, StoreError, Unavailable
from headway.core.ids import new_id
from headway.store.database import Database, check_usable
from headway.store.tables import flow
from headway.testing.clock import FrozenClock
from headway.testing.databases import SharedDatabase
from headway.testing.postgres import Cluster

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def shared(postgres: Cluster) -> SharedDatabase:
    return SharedDatabase(postgres)


def made(name: str, **more: object) -> dict[str, object]:
    now = FrozenClock().now()
    return {"id": new_id(), "created": now, "updated": now, "name": name, "tags": [], "labels": {}, **more}


def insert_one(connection: Connection, row: dict[str, object]) -> None:
    connection.execute(insert(flow), row)


def test_without_the_driver_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"psycopg, which is not installed\. Run: pip install 'headway\[postgres\]'"):
        Database("postgresql://nobody@127.0.0.1:1/none")


def test_a_database_nobody_can_reach_is_one_line_without_the_password() -> None:
    database = Database("postgresql://me:secret@127.0.0.1:1/none")
    with pytest.raises(
        StoreError, match=r"Cannot use the database .*refused.*Check that PostgreSQL runs there"
    ) as told:
        check_usable(database)
    assert "secret" not in told.value.message
    assert "\n" not in told.value.message


async def test_a_deadlock_is_run_again_and_both_writes_are_made(shared: SharedDatabase) -> None:
    database = Database(shared.empty())
    first, second = "a", "b"
    await database.write(lambda connection: connection.execute(insert(flow), [made(first), made(second)]) and None)
    both, met = threading.Barrier(2, timeout=60), set[str]()

    def rename(connection: Connection, one: str, other: str, label: str) -> None:
        connection.execute(update(flow).where(flow.c.name == one).values(labels={"by": label}))
        if label not in met:  # only the first tries meet
            met.add(label)
            both.wait()
        connection.execute(update(flow).where(flow.c.name == other).values(tags=[label]))

    await asyncio.gather(database.write(rename, first, second, "x"), database.write(rename, second, first, "y"))
    found = await database.read(lambda connection: connection.execute(select(flow.c.labels, flow.c.tags)).all())
    assert sorted((labels["by"], tags[0]) for labels, tags in found) == [("x", "y"), ("y", "x")]
    await database.close()


async def test_a_write_whose_connection_is_killed_is_made_once_on_another(shared: SharedDatabase) -> None:
    database = Database(shared.empty())
    tries = []

    def suicidal(connection: Connection) -> None:
        connection.execute(insert(flow), made(f"flow-{len(tries)}"))
        tries.append(1)
        if len(tries) == 1:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    await database.write(suicidal)
    assert await database.read(lambda connection: connection.execute(select(flow.c.name)).scalars().all()) == ["flow-1"]
    await database.close()


async def test_a_connection_that_breaks_in_the_commit_leaves_doubt_and_is_not_repeated(
    shared: SharedDatabase,
) -> None:
    database = Database(shared.empty())
    tries = []

    def doomed(connection: Connection) -> None:
        tries.append(1)
        connection.execute(insert(flow), made("doubt"))
        connection.exec_driver_sql(
            "CREATE FUNCTION pg_temp.die() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
        )
        connection.exec_driver_sql(
            "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON flow DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION pg_temp.die()"
        )
        connection.execute(insert(flow), made("trigger"))

    with pytest.raises(Unavailable, match="not known whether the change was made; repeat it"):
        await database.write(doomed)
    assert tries == [1]
    await database.close()


async def test_text_that_postgresql_cannot_keep_is_the_requests_fault(shared: SharedDatabase) -> None:
    database = Database(shared.empty())
    with pytest.raises(Invalid, match="cannot keep this value"):
        await database.write(
            lambda connection: connection.execute(insert(flow), made("x", labels={"a": "\0"})) and None
        )
    with pytest.raises(Invalid, match="cannot keep this value"):
        await database.write(insert_one, made("\0"))
    await database.close()
