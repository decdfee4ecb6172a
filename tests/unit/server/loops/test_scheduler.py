"""The scheduler: enough runs ahead, none twice, and a number of statements that does not grow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select

from headway.core.ids import new_id
from headway.core.settings import SchedulerSettings
from headway.store.tables import deployment, deployment_schedule, flow_run, flow_run_state, live_run
from headway.testing.clock import FrozenClock
from headway.testing.server import InProcessServer, in_process
from headway.testing.waiting import eventually_async

ZONE = "America/New_York"


@asynccontextmanager
async def one_server(
    folder: Path, at: str = "2026-01-15T12:00:00+00:00", **more: Any
) -> AsyncIterator[InProcessServer]:
    async with in_process(folder, FrozenClock(datetime.fromisoformat(at)), **more) as server:
        yield server


async def deploy(server: InProcessServer, *schedules: dict[str, Any], name: str = "d", **fields: Any) -> str:
    _, flow = await server.request("POST", "/flows/", {"name": "etl"})
    wanted = [one if "schedule" in one else {"schedule": one} for one in schedules]
    body = {"name": name, "flow_id": flow["id"], "schedules": wanted, **fields}
    made: dict[str, Any] = await server.expect(201, "POST", "/deployments/", body)
    return str(made["id"])


async def due(server: InProcessServer) -> list[str]:
    runs = await server.expect(200, "POST", "/flow_runs/filter", {"sort": "EXPECTED_START_TIME_ASC"})
    return [run["expected_start_time"] for run in runs]


def test_a_schedule_is_filled_once_and_topped_up_as_time_passes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with one_server(tmp_path) as server:
            await deploy(server, {"cron": "30 * * * *"})
            scheduler = server.server.scheduler
            assert [await scheduler.run_once(), await scheduler.run_once()] == [3, 0]
            assert await due(server) == [f"2026-01-15T{hour}:30:00Z" for hour in (12, 13, 14)]
            server.clock.advance(3600)
            assert await scheduler.run_once() == 1

    asyncio.run(scenario())


def test_an_hour_ahead_is_always_filled_and_never_more_than_a_hundred_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with one_server(tmp_path) as server:
            await deploy(server, {"cron": "* * * * *"}, name="minutely")
            assert await server.server.scheduler.run_once() == 61
            await deploy(server, {"interval": 1}, name="secondly")
            assert await server.server.scheduler.run_once() == 100
            await deploy(server, {"schedule": {"cron": "0 0 * * *"}, "max_scheduled_runs": 2}, name="capped")
            assert await server.server.scheduler.run_once() == 2
            assert await server.server.scheduler.run_once() == 0

    asyncio.run(scenario())


def test_a_planned_run_is_a_whole_run(tmp_path: Path) -> None:
    async def scenario() -> dict[str, Any]:
        async with one_server(tmp_path) as server:
            schedule = {"schedule": {"cron": "30 * * * *"}, "parameters": {"b": 2}, "slug": "half"}
            id = await deploy(server, schedule, parameters={"a": 1, "b": 1}, tags=["t"], retries=3, retry_delay=2)
            await server.server.scheduler.run_once()
            runs = await server.expect(200, "POST", "/flow_runs/filter", {"limit": 1})
            states = await server.expect(200, "GET", "/flow_run_states/", query={"flow_run_id": runs[0]["id"]})
            assert [state["id"] for state in states] == [runs[0]["state_id"]]
            assert runs[0]["deployment_id"] == id
            return dict(runs[0])

    run = asyncio.run(scenario())
    assert run["parameters"] == {"a": 1, "b": 2}
    assert run["tags"] == ["auto-scheduled", "t"]
    assert run["auto_scheduled"] is True
    assert (run["created_by"]["type"], run["created_by"]["display_value"]) == ("SCHEDULE", "half")
    assert run["empirical_policy"]["retries"] == 3
    assert run["state"]["state_details"]["scheduled_time"] == run["expected_start_time"]
    assert run["idempotency_key"].startswith(f"scheduled {run['deployment_id']} {run['created_by']['id']} 2026-01-15 1")


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("2026-03-07T12:00:00+00:00", ["2026-03-08T07:30:00Z", "2026-03-09T06:30:00Z", "2026-03-10T06:30:00Z"]),
        ("2026-10-31T12:00:00+00:00", ["2026-11-01T07:30:00Z", "2026-11-02T07:30:00Z", "2026-11-03T07:30:00Z"]),
    ],
)
def test_a_daily_0230_runs_once_on_each_day_clocks_change(tmp_path: Path, start: str, expected: list[str]) -> None:
    async def scenario() -> list[str]:
        async with one_server(tmp_path, start) as server:
            await deploy(server, {"cron": "30 2 * * *", "timezone": ZONE})
            for _ in range(3):
                await server.server.scheduler.run_once()
            return await due(server)

    assert asyncio.run(scenario()) == expected


@pytest.mark.parametrize("start", ["2026-03-08T05:00:00+00:00", "2026-11-01T04:00:00+00:00"])
def test_an_hourly_schedule_never_pauses_or_doubles_over_a_clock_change(tmp_path: Path, start: str) -> None:
    async def scenario() -> list[datetime]:
        async with one_server(tmp_path, start) as server:
            await deploy(server, {"cron": "0 * * * *", "timezone": ZONE})
            for _ in range(6):
                await server.server.scheduler.run_once()
                server.clock.advance(3600)
            return [datetime.fromisoformat(time) for time in await due(server)]

    times = asyncio.run(scenario())
    assert len(times) == 8
    assert {(later - earlier).total_seconds() for earlier, later in pairwise(times)} == {3600}


def test_paused_deployments_and_inactive_schedules_get_no_runs(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with one_server(tmp_path) as server:
            await deploy(server, {"cron": "* * * * *"}, name="paused", paused=True)
            await deploy(server, {"schedule": {"cron": "* * * * *"}, "active": False}, name="inactive")
            return int(await server.server.scheduler.run_once())

    assert asyncio.run(scenario()) == 0


def test_two_servers_on_one_database_never_double_a_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with one_server(tmp_path) as first, in_process(tmp_path, first.clock) as second:
            for number in range(20):
                await deploy(first, {"cron": "*/5 * * * *"}, name=f"d{number}")
            made = await asyncio.gather(
                *(one.server.scheduler.run_once() for one in (first, second, first, second)),
            )
            assert sum(made) == 20 * 13
            assert await first.expect(200, "POST", "/flow_runs/count", {}) == 20 * 13

            def whole(connection: Any) -> tuple[int, ...]:
                return tuple(
                    connection.execute(select(func.count()).select_from(table)).scalar_one()
                    for table in (flow_run, flow_run_state, live_run)
                )

            assert await second.server.database.read(whole) == (260, 260, 260)

    asyncio.run(scenario())


async def add_deployments(server: InProcessServer, count: int) -> None:
    """Straight into the tables: what is measured is the scheduler."""
    flow = await server.expect(201, "POST", "/flows/", {"name": f"flow of {count}"})
    now = server.clock.now()
    rows = [
        {"id": new_id(), "created": now, "updated": now, "name": f"d{n}", "flow_id": flow_id(flow)}
        for n in range(count)
    ]
    schedules = [
        {"id": new_id(), "created": now, "updated": now, "deployment_id": row["id"], "schedule": {"cron": "0 * * * *"}}
        for row in rows
    ]

    def fill(connection: Any) -> None:
        connection.execute(insert(deployment), rows)
        connection.execute(insert(deployment_schedule), schedules)

    await server.server.database.write(fill)


def flow_id(flow: dict[str, Any]) -> Any:
    return type(new_id())(flow["id"])


async def statements_of_a_pass(folder: Path, deployments: int) -> tuple[int, int]:
    async with one_server(folder) as server:
        await add_deployments(server, deployments)
        count = 0

        def counted(*_: Any) -> None:
            nonlocal count
            count += 1

        event.listen(server.server.database.engine, "before_cursor_execute", counted)
        made = await server.server.scheduler.run_once()
        return made, count


def test_the_number_of_statements_grows_with_the_runs_of_many_deployments_together(tmp_path: Path) -> None:
    async def scenario() -> list[tuple[int, int]]:
        return [await statements_of_a_pass(tmp_path / str(count), count) for count in (10, 1000)]

    (few_runs, few), (many_runs, many) = asyncio.run(scenario())
    assert (few_runs, many_runs) == (30, 3000)
    assert many - few <= 4 * 3000 / 100  # a write of so many runs at a time


def test_a_pass_over_schedules_that_are_filled_asks_one_question(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with one_server(tmp_path) as server:
            await add_deployments(server, 50)
            await server.server.scheduler.run_once()
            asked: list[str] = []

            def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
                asked.append(statement)

            database = server.server.database
            for engine in {database.engine, database._reading}:
                event.listen(engine, "before_cursor_execute", note)
            assert await server.server.scheduler.run_once() == 0
            return len([statement for statement in asked if statement.startswith("SELECT")])

    assert asyncio.run(scenario()) == 1


def test_a_schedule_that_changes_while_it_is_planned_gets_no_runs_of_what_it_was(tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        async with one_server(tmp_path) as server:
            id = await deploy(server, {"cron": "30 * * * *"})
            planner = server.server.planner
            seen = await planner._store.due(server.clock.now(), 10)
            body = {"schedules": [{"schedule": {"cron": "15 * * * *"}}]}
            server.clock.advance(1)
            await server.expect(204, "PATCH", f"/deployments/{id}", body)
            assert await planner._fill(seen, server.clock.now(), planner.limits, keeps=True) == 0
            await server.server.scheduler.run_once()
            return await due(server)

    assert asyncio.run(scenario()) == [f"2026-01-15T{hour}:15:00Z" for hour in (12, 13, 14)]


def test_more_deployments_than_one_batch_are_all_served(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with one_server(tmp_path, scheduler=SchedulerSettings(batch=7)) as server:
            await add_deployments(server, 25)
            return int(await server.server.scheduler.run_once())

    assert asyncio.run(scenario()) == 75


def test_a_stored_schedule_that_makes_no_sense_does_not_stop_the_others(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with one_server(tmp_path) as server:
            await deploy(server, {"cron": "0 0 * * *"}, name="good")
            bad = await deploy(server, {"cron": "0 0 * * *"}, name="bad")

            def spoil(connection: Any) -> None:
                broken = deployment_schedule.update().values(schedule={"cron": "what"})
                connection.execute(broken.where(deployment_schedule.c.deployment_id == type(new_id())(bad)))

            await server.server.database.write(spoil)
            return int(await server.server.scheduler.run_once())

    assert asyncio.run(scenario()) == 3


def test_writing_a_deployment_wakes_the_scheduler_at_once(tmp_path: Path) -> None:
    async def scenario() -> int:
        often = SchedulerSettings(interval_seconds=3600)
        async with one_server(tmp_path, scheduler=often, loops=True) as server:
            await deploy(server, {"cron": "0 0 * * *"})
            made = await eventually_async(
                lambda: server.expect(200, "POST", "/flow_runs/count", {}), 20, "planned runs"
            )
            return int(made)

    assert asyncio.run(scenario()) == 3


def test_a_run_that_a_person_put_off_leaves_no_gap_behind_it(tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        async with one_server(tmp_path) as server:
            await deploy(server, {"cron": "30 * * * *"})
            await server.server.scheduler.run_once()
            runs = await server.expect(200, "POST", "/flow_runs/filter", {"sort": "EXPECTED_START_TIME_ASC"})
            late = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2026-01-17T00:00:00Z"}}
            body = {"state": late, "force": True}
            await server.request("POST", f"/flow_runs/{runs[0]['id']}/set_state", body)
            server.clock.advance(3600)
            await server.server.scheduler.run_once()
            return await due(server)

    assert asyncio.run(scenario()) == [f"2026-01-15T{hour}:30:00Z" for hour in (12, 13, 14, 15)]
