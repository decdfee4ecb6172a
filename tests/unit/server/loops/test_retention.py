"""Logs and events go after 30 days; runs stay unless it is said for how long."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from headway.core.ids import new_id
from headway.core.settings import RetentionSettings
from headway.server.loops import retention
from headway.server.loops.retention import RetentionLoop
from headway.store.tables import flow_run, task_run
from headway.testing.clock import FrozenClock
from headway.testing.server import InProcessServer, in_process


def retention_loop(server: InProcessServer) -> RetentionLoop:
    (loop,) = [loop for loop in server.server._loops if isinstance(loop, RetentionLoop)]
    return loop


async def some_history(server: InProcessServer) -> None:
    """A log and an event of each of the days 0, 29 and 31 ago, an ended run of 40 days ago, and a live one."""
    now = server.clock.now()
    times = [(now - timedelta(days=days)).isoformat() for days in (0, 29, 31)]
    logs = [{"name": "n", "level": 20, "message": time, "timestamp": time} for time in times]
    await server.expect(201, "POST", "/logs/", logs)
    events = [
        {"id": f"00000000-0000-4000-8000-00000000000{number}", "occurred": time, "event": "made.up",
         "resource": {"prefect.resource.id": "x"}} for number, time in enumerate(times)
    ]  # fmt: skip
    await server.expect(204, "POST", "/events", events)
    flow = await server.expect(201, "POST", "/flows/", {"name": "etl"})
    server.clock.set(now - timedelta(days=40))
    for state in ("COMPLETED", "RUNNING"):
        body = {"flow_id": flow["id"], "state": {"type": state}, "name": state.lower()}
        await server.expect(201, "POST", "/flow_runs/", body)
    server.clock.set(now)


async def left(server: InProcessServer) -> tuple[int, list[str]]:
    logs = await server.expect(200, "POST", "/logs/filter", {})
    runs = await server.expect(200, "POST", "/flow_runs/filter", {"sort": "NAME_ASC"})
    return len(logs), [run["name"] for run in runs]


def passes(folder: Path, **settings: Any) -> tuple[dict[str, int], tuple[int, list[str]]]:
    async def scenario() -> tuple[dict[str, int], tuple[int, list[str]]]:
        async with in_process(folder, retention=RetentionSettings(**settings)) as server:
            await some_history(server)
            return await retention_loop(server).run_once(), await left(server)

    return asyncio.run(scenario())


def test_logs_and_events_are_kept_thirty_days_and_runs_for_ever(tmp_path: Path) -> None:
    assert passes(tmp_path) == ({"logs": 1, "events": 1}, (2, ["completed", "running"]))


def test_ended_runs_go_when_that_is_set_and_live_ones_never(tmp_path: Path) -> None:
    dropped, kept = passes(tmp_path, flow_runs_days=30.0)
    assert dropped == {"logs": 1, "events": 1, "flow_runs": 1}
    assert kept == (2, ["running"])


def test_what_is_kept_for_ever_is_not_touched(tmp_path: Path) -> None:
    assert passes(tmp_path, logs_days=None, events_days=None) == ({}, (3, ["completed", "running"]))


def test_more_than_one_batch_goes_in_one_pass(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "BATCH", 1)
    dropped, kept = passes(tmp_path, logs_days=0.0)
    assert (dropped["logs"], kept[0]) == (2, 1)


def test_a_run_with_many_task_runs_goes_in_transactions_of_bounded_size(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "BATCH", 10)
    sizes: list[int] = []

    async def scenario() -> int:
        async with in_process(tmp_path, retention=RetentionSettings(flow_runs_days=30.0)) as server:
            await some_history(server)
            database = server.server.database
            await database.write(add_tasks, 25)
            write = database.write

            async def counted(work: Any, *arguments: Any) -> Any:
                done = await write(work, *arguments)
                sizes.append(done)
                return done

            monkeypatch.setattr(database, "write", counted)
            dropped = await retention_loop(server).run_once()
            assert await database.read(lambda connection: connection.execute(select(task_run.c.id)).all()) == []
            return dropped["flow_runs"]

    assert asyncio.run(scenario()) == 1
    assert sizes == [10, 10, 5, 1]


def add_tasks(connection: Connection, count: int) -> None:
    """Task runs of the run that has ended."""
    run = connection.execute(select(flow_run.c.id).where(flow_run.c.end_time.is_not(None))).scalar_one()
    now = FrozenClock().now()
    shared = {"created": now, "updated": now, "name": "t", "task_key": "t", "flow_run_id": run}
    connection.execute(insert(task_run), [{"id": new_id(), "dynamic_key": str(n), **shared} for n in range(count)])
