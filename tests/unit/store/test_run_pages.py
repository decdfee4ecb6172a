"""Pages and counts of flow runs: the same rows as ever, counted without being looked at, found by an index."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, delete, event, insert, select, text, update

from headway.core.ids import new_id
from headway.store import run_pages
from headway.store.database import Database, check_usable
from headway.store.filters import select_count, select_page
from headway.store.flow_runs import FlowRunStore
from headway.store.migrate import RECORD, migrate
from headway.store.presence import Presence
from headway.store.tables import deployment, flow, flow_run, flow_run_tally, live_run
from headway.store.tally import TallyStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STATES = ("COMPLETED", "COMPLETED", "COMPLETED", "FAILED", "CRASHED", "RUNNING", "SCHEDULED")
LIVE = ("RUNNING", "SCHEDULED")
NESTED = {
    "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}, "tags": {"all_": ["t1"]}},
    "deployments": {"name": {"any_": ["deployment-1"]}},
}
FILTERS: list[dict[str, Any]] = [
    {},
    {"flow_runs": {"state": {"type": {"any_": ["FAILED", "RUNNING"]}}}},
    {"flow_runs": {"state": {"name": {"any_": ["Completed"]}}}},
    {"flow_runs": {"deployment_id": {"is_null_": True}}},
    {"flow_runs": {"deployment_id": {"is_null_": True}, "state": {"type": {"any_": ["FAILED"]}}, "operator": "or_"}},
    {"deployments": {"name": {"any_": ["deployment-2"]}}},
    {"flows": {"name": {"like_": "flow"}}},
    {"flows": {"name": {"any_": ["flow-0"]}}, "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}},
    {"deployments": {"name": {"any_": ["nobody's"]}}},
    NESTED,
]
SORTS = ("ID_DESC", "START_TIME_DESC", "EXPECTED_START_TIME_DESC", "EXPECTED_START_TIME_ASC", "END_TIME_DESC")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path_factory.mktemp('pages') / 'headway.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    opened = Database(url)
    check_usable(opened)
    migrate(opened, RECORD, Presence(url))
    yield opened
    asyncio.run(opened.close())


@pytest.fixture
def database(migrated: Database) -> Database:
    asyncio.run(migrated.write(populate))
    return migrated


def populate(connection: Connection, runs: int = 300) -> None:
    """Flows, deployments and runs in all sorts of states; every tenth run has no deployment."""
    for table in (flow_run, flow, flow_run_tally):
        connection.execute(delete(table))
    stamp = {"created": NOW, "updated": NOW}
    flows = [{"id": new_id(), "name": f"flow-{n}", **stamp} for n in range(2)]
    deployments = [
        {"id": new_id(), "name": f"deployment-{n}", "flow_id": flows[n % 2]["id"], **stamp} for n in range(4)
    ]
    connection.execute(insert(flow), flows)
    connection.execute(insert(deployment), deployments)
    add_runs(connection, [None, *deployments], runs)


def add_runs(connection: Connection, deployments: list[Any], runs: int) -> None:
    chance = random.Random(1)
    rows = []
    for number in range(runs):
        made_of = chance.choice(deployments) or {}
        state, due = chance.choice(STATES), NOW + timedelta(seconds=chance.randrange(10_000))
        rows.append(
            {
                "id": new_id(),
                "created": NOW,
                "updated": NOW,
                "name": f"run-{number}",
                "flow_id": made_of.get("flow_id") or connection.execute(select(flow.c.id)).scalars().first(),
                "deployment_id": made_of.get("id"),
                "state_type": state,
                "state_name": state.capitalize(),
                "state_timestamp": due,
                "tags": [f"t{number % 3}"],
                "expected_start_time": due,
                "start_time": None if state == "SCHEDULED" else due + timedelta(seconds=chance.randrange(900)),
                "end_time": None if state in LIVE else due + timedelta(seconds=1000),
            }
        )
    connection.execute(insert(flow_run), rows)
    living = [row for row in rows if row["state_type"] in LIVE]
    names = ("state_type", "state_name", "deployment_id")
    connection.execute(
        insert(live_run),
        [{"flow_run_id": row["id"], "state_since": NOW, **{name: row[name] for name in names}} for row in living],
    )


def counts_agree(connection: Connection) -> None:
    for filters in FILTERS:
        looked_at = connection.execute(select_count(flow_run, filters)).scalar_one()
        assert run_pages.count(connection, filters) == looked_at, filters


@pytest.mark.parametrize("sort", SORTS)
def test_a_page_has_the_rows_that_the_whole_filter_finds_in_its_order(database: Database, sort: str) -> None:
    def compare(connection: Connection) -> None:
        for filters in FILTERS:
            for offset in (0, 30):
                wanted = connection.execute(select_page(flow_run, filters, sort=sort, limit=20, offset=offset))
                found = run_pages.page(connection, filters, sort, 20, offset)
                assert [UUID(str(row[0])) for row in found] == [row.id for row in wanted], (filters, offset)

    asyncio.run(database.read(compare))


def test_counts_stay_exact_whatever_happens_to_runs(database: Database) -> None:
    def change(connection: Connection) -> None:
        counts_agree(connection)
        some = select(flow_run.c.id).where(flow_run.c.state_type == "FAILED").limit(7)
        again = {"state_type": "COMPLETED", "state_name": "Completed"}
        connection.execute(update(flow_run).where(flow_run.c.id.in_(some.scalar_subquery())).values(again))
        counts_agree(connection)
        other = connection.execute(select(deployment.c.id)).scalars().first()
        connection.execute(update(flow_run).where(flow_run.c.deployment_id.is_(None)).values(deployment_id=other))
        connection.execute(update(live_run).where(live_run.c.deployment_id.is_(None)).values(deployment_id=other))
        counts_agree(connection)
        connection.execute(delete(flow_run).where(flow_run.c.state_type == "CRASHED"))
        counts_agree(connection)
        connection.execute(delete(flow).where(flow.c.name == "flow-1"))  # its runs go with it
        counts_agree(connection)

    asyncio.run(database.write(change))


def test_changes_of_a_transaction_that_fails_are_not_counted(database: Database) -> None:
    def fail(connection: Connection) -> None:
        add_runs(connection, [None], 20)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        asyncio.run(database.write(fail))
    asyncio.run(database.read(counts_agree))


def test_many_changes_are_added_up_and_the_sums_stay(database: Database) -> None:
    async def scenario() -> int:
        for _ in range(10):
            await database.write(add_runs, [None], 500)
        tally = TallyStore(database)
        while await tally.fold():
            pass
        await database.read(counts_agree)
        return await database.read(lambda c: len(c.execute(select(flow_run_tally.c.seq)).all()))

    assert asyncio.run(scenario()) < 2_100


def test_what_is_asked_most_is_found_by_an_index(database: Database) -> None:
    async def scenario() -> None:
        await database.write(add_runs, [None], 3000)
        if not database.is_sqlite:
            await database.write(lambda connection: connection.execute(text("ANALYZE")) and None)
        await database.read(explain)

    def explain(connection: Connection) -> None:
        asked: list[tuple[str, Any]] = []

        def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, _many: bool) -> None:
            asked.append((statement, parameters))

        event.listen(connection, "before_cursor_execute", note)
        for sort in SORTS:
            run_pages.page(connection, {}, sort, 20, 0)
        run_pages.page(connection, NESTED, "START_TIME_DESC", 20, 0)
        run_pages.page(connection, NESTED, "EXPECTED_START_TIME_DESC", 20, 0)
        run_pages.page(connection, FILTERS[1], "EXPECTED_START_TIME_DESC", 20, 0)
        recent = {"flow_runs": {"start_time": {"after_": NOW + timedelta(seconds=10_500)}}}
        run_pages.count(connection, recent)
        event.remove(connection, "before_cursor_execute", note)
        prefix = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        for statement, parameters in asked:
            if "FROM flow_run " not in statement.replace("\n", " "):
                continue  # small tables
            lines = [str(row[-1]) for row in connection.exec_driver_sql(prefix + statement, parameters)]
            walked = [line for line in lines if line == "SCAN flow_run" or "Seq Scan on flow_run " in line]
            assert not walked, (statement, lines)

    asyncio.run(scenario())


def test_json_texts_come_out_as_they_went_in(database: Database) -> None:
    strange = {"quote": 'a"b\\c', "snow": "☃", "list": [1, 2.5, None, True]}

    def put(connection: Connection) -> None:
        connection.execute(update(flow_run).values(parameters=strange))

    async def scenario() -> list[Any]:
        await database.write(put)
        store = FlowRunStore(database)
        return await store.raw_page(
            lambda rows: [json.loads(row[11]) for row in rows], {}, sort=None, limit=3, offset=0
        )

    assert asyncio.run(scenario()) == [strange] * 3
