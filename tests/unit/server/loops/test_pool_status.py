"""Workers, pools, queues and deployments say what is true of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from headway.server.loops.pool_status import PoolStatusLoop
from headway.testing.server import InProcessServer, in_process


def status_loop(server: InProcessServer) -> PoolStatusLoop:
    (loop,) = [loop for loop in server.server._loops if isinstance(loop, PoolStatusLoop)]
    return loop


async def pool_with_worker(server: InProcessServer, name: str = "p") -> None:
    await server.expect(201, "POST", "/work_pools/", {"name": name, "type": "process"})
    worker = {"type": "process", "name": "w", "heartbeat_interval_seconds": 10}
    await server.expect(201, "POST", f"/work_pools/{name}/workers", worker)


async def statuses(server: InProcessServer, name: str = "p") -> tuple[str, str]:
    pool = await server.expect(200, "GET", f"/work_pools/{name}")
    (worker,) = await server.expect(200, "POST", f"/work_pools/{name}/workers/filter", {})
    return pool["status"], worker["status"]


def test_a_worker_silent_for_three_intervals_is_offline_and_its_pool_not_ready(tmp_path: Path) -> None:
    async def scenario() -> list[tuple[str, str]]:
        async with in_process(tmp_path) as server:
            await pool_with_worker(server)
            seen = []
            for seconds in (0, 30, 1):
                server.clock.advance(seconds)
                await status_loop(server).run_once()
                seen.append(await statuses(server))
            beat = {"name": "w", "heartbeat_interval_seconds": 10}
            await server.expect(204, "POST", "/work_pools/p/workers/heartbeat", beat)
            await status_loop(server).run_once()
            return [*seen, await statuses(server)]

    assert asyncio.run(scenario()) == [
        ("READY", "ONLINE"),
        ("READY", "ONLINE"),
        ("NOT_READY", "OFFLINE"),
        ("READY", "ONLINE"),
    ]


def test_a_paused_pool_stays_paused_whoever_is_online(tmp_path: Path) -> None:
    async def scenario() -> list[tuple[str, str]]:
        async with in_process(tmp_path) as server:
            await pool_with_worker(server)
            await server.expect(204, "PATCH", "/work_pools/p", {"is_paused": True})
            await status_loop(server).run_once()
            paused = await statuses(server)
            await server.expect(204, "PATCH", "/work_pools/p", {"is_paused": False})
            await status_loop(server).run_once()
            return [paused, await statuses(server)]

    assert asyncio.run(scenario()) == [("PAUSED", "ONLINE"), ("READY", "ONLINE")]


def test_the_agents_pool_has_no_status(tmp_path: Path) -> None:
    async def scenario() -> Any:
        async with in_process(tmp_path) as server:
            await server.expect(201, "POST", "/work_pools/", {"name": "old"})
            changes = await status_loop(server).run_once()
            return changes.pools, (await server.expect(200, "GET", "/work_pools/old"))["status"]

    assert asyncio.run(scenario()) == (0, None)


def test_queues_and_deployments_that_nobody_polls_for_a_minute_are_not_ready(tmp_path: Path) -> None:
    async def scenario() -> list[tuple[str, str]]:
        async with in_process(tmp_path) as server:
            await pool_with_worker(server)
            flow = await server.expect(201, "POST", "/flows/", {"name": "etl"})
            body = {"name": "d", "flow_id": flow["id"], "work_pool_name": "p"}
            deployment = await server.expect(201, "POST", "/deployments/", body)

            async def seen() -> tuple[str, str]:
                await status_loop(server).run_once()
                queue = await server.expect(200, "GET", "/work_pools/p/queues/default")
                one = await server.expect(200, "GET", f"/deployments/{deployment['id']}")
                return queue["status"], one["status"]

            answers = [await seen()]
            await server.expect(200, "POST", "/work_pools/p/get_scheduled_flow_runs", {})
            polled = {"deployment_ids": [deployment["id"]]}
            await server.expect(200, "POST", "/deployments/get_scheduled_flow_runs", polled)
            for seconds in (0, 60, 1):
                server.clock.advance(seconds)
                answers.append(await seen())
            return answers

    ready, silent = ("READY", "READY"), ("NOT_READY", "NOT_READY")
    assert asyncio.run(scenario()) == [silent, ready, ready, silent]


def test_a_pass_with_nothing_to_change_changes_nothing(tmp_path: Path) -> None:
    async def scenario() -> tuple[Any, Any]:
        async with in_process(tmp_path) as server:
            await pool_with_worker(server)
            await status_loop(server).run_once()
            before = await server.expect(200, "GET", "/work_pools/p")
            server.clock.advance(5)
            changes = await status_loop(server).run_once()
            assert (changes.workers, changes.pools, changes.queues, changes.deployments) == (0, 0, 0, 0)
            return before, await server.expect(200, "GET", "/work_pools/p")

    before, after = asyncio.run(scenario())
    assert before == after
