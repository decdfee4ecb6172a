"""Several servers on one PostgreSQL: work wakes whoever waits, nothing is done twice, a database that goes comes back.

The servers are whole ones, with their loops, in this process; the database is a real one with its durability on.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from headway.core.settings import LeaseSettings, LoopSettings, ServerSettings, Settings
from headway.server.app import Server, create_app
from headway.store.notices import LISTENER
from headway.store.retention import drop
from headway.store.tables import event, flow_run, log
from headway.testing.postgres import Cluster
from headway.testing.waiting import eventually_async

pytestmark = pytest.mark.anyio

QUIET = LoopSettings(
    scheduler=False, late=False, pauses=False, status=False, reaper=False, cancellations=False, retention=False
)
BOUND = 2.0
"""Seconds in which due work starts, though the notice was lost (issue 3, section 2)."""


class Replica:
    """One server, asked without a socket."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        raw = b"" if body is None else json.dumps(body).encode()
        status, _, content = await self.server.request(method, path.partition("?")[0], path.partition("?")[2], {}, raw)
        return status, json.loads(content) if content else None

    async def get(self, path: str) -> Any:
        status, answer = await self.ask("GET", path)
        assert status == 200, answer
        return answer

    async def post(self, path: str, body: Any) -> Any:
        status, answer = await self.ask("POST", path, body)
        assert status < 300, answer
        return answer

    async def claim(self, worker: str, limit: int = 10, wait: float = 0) -> list[Any]:
        body = {"claim_id": str(uuid4()), "worker_id": worker, "limit": limit, "wait_seconds": wait}
        return list((await self.post("/work_pools/pool/claim", body))["claims"])

    async def waiting_claim(self, worker: str) -> asyncio.Task[list[Any]]:
        """A claim that found nothing and waits; returns once it does."""
        task = asyncio.create_task(self.claim(worker, wait=30))
        await eventually_async(self._someone_waits, 60)
        return task

    async def _someone_waits(self) -> bool:
        return self.server.wakes.waiting > 0


class Site:
    """A pool, a deployment and two workers, seen by two replicas."""

    def __init__(self, first: Replica, second: Replica) -> None:
        self.first, self.second = first, second
        self.workers: list[str] = []
        self.deployment = ""

    async def furnish(self, **pool: Any) -> None:
        await self.first.post("/work_pools/", {"name": "pool", "type": "process", **pool})
        for name in ("w1", "w2"):
            reply = await self.first.post("/work_pools/pool/workers", {"name": name, "type": "process"})
            self.workers.append(reply["worker_id"])
        flow = await self.first.post("/flows/", {"name": "flow"})
        body = {"name": "d", "flow_id": flow["id"], "work_pool_name": "pool", "entrypoint": "f.py:f"}
        self.deployment = (await self.first.post("/deployments/", body))["id"]

    async def run(self) -> str:
        run = await self.first.post(f"/deployments/{self.deployment}/create_flow_run", {})
        return str(run["id"])


@asynccontextmanager
async def site_on(url: str, home: Path, pool: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[Site]:
    servers = [create_app(Settings(home=home, server=ServerSettings(database_url=url, **settings))) for _ in range(2)]
    try:
        for server in servers:
            await server.start()
        site = Site(*map(Replica, servers))
        await site.furnish(**pool or {})
        yield site
    finally:
        for server in servers:
            await server.stop()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def url(postgres: Cluster) -> str:
    return postgres.new_database()


@pytest.fixture
def kill_listeners(postgres: Cluster, url: str) -> Callable[[], int]:
    name = url.rsplit("/", 1)[1]

    def kill() -> int:
        found = postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE application_name = '{LISTENER}' AND datname = '{name}'"
        )
        return len(found)

    return kill


async def test_a_claim_that_waits_at_one_replica_gets_the_run_that_another_made(url: str, tmp_path: Path) -> None:
    async with site_on(url, tmp_path, loops=QUIET) as site:
        await site.second.server._loops[-1].stop()  # the pulse: only a notice can wake it now
        waiting = await site.second.waiting_claim(site.workers[0])
        run = await site.run()
        async with asyncio.timeout(60):
            assert [claim["flow_run"]["id"] for claim in await waiting] == [run]


async def test_due_work_starts_within_two_seconds_though_the_listening_connection_was_killed(
    url: str, tmp_path: Path, kill_listeners: Callable[[], int]
) -> None:
    async with site_on(url, tmp_path, loops=QUIET) as site:
        waiting = await site.second.waiting_claim(site.workers[0])
        assert kill_listeners() == 2
        started = asyncio.get_running_loop().time()
        run = await site.run()
        assert [claim["flow_run"]["id"] for claim in await waiting] == [run]
        assert asyncio.get_running_loop().time() - started < BOUND
        waiting = await site.second.waiting_claim(site.workers[0])
        await eventually_async(lambda: _true(kill_listeners() == 2), 60, "both listen again")
        waiting.cancel()


async def test_due_work_starts_within_two_seconds_though_nobody_is_notified(url: str, tmp_path: Path) -> None:
    async with site_on(url, tmp_path, loops=QUIET) as site:
        notices = site.second.server._notices
        assert notices is not None
        await notices.stop()
        waiting = await site.second.waiting_claim(site.workers[0])
        started = asyncio.get_running_loop().time()
        await site.run()
        assert len(await waiting) == 1
        assert asyncio.get_running_loop().time() - started < BOUND


async def test_an_idle_replica_sends_at_most_one_statement_a_second(
    url: str, tmp_path: Path, postgres: Cluster, record_property: Any
) -> None:
    if not postgres.counts_statements:
        pytest.skip("this PostgreSQL came without pg_stat_statements")
    database = url.rsplit("/", 1)[1]
    server = create_app(Settings(home=tmp_path, server=ServerSettings(database_url=url)))
    await server.start()
    try:
        await Replica(server).post("/work_pools/", {"name": "pool", "type": "process"})
        await asyncio.sleep(2)  # what the start and the pool gave the loops to do
        postgres.execute("SELECT pg_stat_statements_reset()", database=database)
        seconds = 10  # a rate can only be seen over time
        await asyncio.sleep(seconds)
        sent = postgres.execute(
            "SELECT query, calls FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid "
            f"WHERE datname = '{database}' AND query NOT LIKE '%pg_stat_statements%' ORDER BY calls DESC",
            database=database,
        )
    finally:
        await server.stop()
    calls = sum(count for _, count in sent)
    record_property("note", f"an idle replica on PostgreSQL: {calls} statements in {seconds} s")
    assert 0 < calls <= seconds, sent


async def test_attempts_whose_leases_ran_out_are_ended_once_by_two_reapers(url: str, tmp_path: Path) -> None:
    lease = LeaseSettings(ttl_seconds=0.5, renew_seconds=0.2, reaper_seconds=0.2)
    async with site_on(url, tmp_path, lease=lease) as site:
        runs = [await site.run() for _ in range(20)]
        assert len(await site.first.claim(site.workers[0], limit=20)) == 20

        async def released() -> bool:
            found = await site.first.post("/flow_runs/filter", {"flow_runs": {"id": {"any_": runs}}})
            return all(run["state_type"] == "SCHEDULED" for run in found)

        await eventually_async(released, 60, "all runs wait again")
        for run in runs:
            states = await site.first.get(f"/flow_run_states/?flow_run_id={run}")
            assert Counter(state["type"] for state in states)["PENDING"] == 1
            assert len(states) == 3, states  # scheduled, claimed, and given back once


async def test_two_replicas_hand_out_each_run_once_and_never_more_than_a_limit(url: str, tmp_path: Path) -> None:
    async with site_on(url, tmp_path, {"concurrency_limit": 7}, loops=QUIET) as site:
        runs = [await site.run() for _ in range(40)]
        taken: list[str] = []

        async def work(replica: Replica, worker: str) -> None:
            while len(taken) < len(runs):
                claims = await replica.claim(worker, limit=4)
                status = await replica.post("/work_pools/pool/concurrency_status", {})
                assert status["active_slots"] <= 7
                for claim in claims:
                    taken.append(claim["flow_run"]["id"])
                    for state in ("RUNNING", "COMPLETED"):
                        path = f"/flow_runs/{claim['flow_run']['id']}/set_state"
                        answer = await replica.post(path, {"state": {"type": state}, "force": True})
                        assert answer["status"] == "ACCEPT", answer

        async with asyncio.timeout(100):
            async with asyncio.TaskGroup() as group:
                for replica in (site.first, site.second):
                    for worker in site.workers:
                        group.create_task(work(replica, worker))
        assert sorted(taken) == sorted(runs)


async def test_retention_never_holds_up_a_run(url: str, tmp_path: Path) -> None:
    async with site_on(url, tmp_path, loops=QUIET) as site:
        old, later = await site.run(), datetime.now(UTC) + timedelta(hours=1)
        await site.first.post(f"/flow_runs/{old}/set_state", {"state": {"type": "COMPLETED"}, "force": True})
        with site.first.server.database.engine.connect() as connection:
            dropping = connection.begin()  # a batch of retention that takes for ever
            for table, age in ((log, log.c.timestamp), (event, event.c.occurred), (flow_run, flow_run.c.end_time)):
                drop(connection, table, age, later, 500)
            async with asyncio.timeout(60):
                run = await site.run()
                (claim,) = await site.second.claim(site.workers[0])
                assert claim["flow_run"]["id"] == run
                for state in ("RUNNING", "COMPLETED"):
                    path = f"/flow_runs/{run}/set_state"
                    answer = await site.second.post(path, {"state": {"type": state}, "force": True})
                    assert answer["status"] == "ACCEPT"
            dropping.commit()
        assert (await site.first.ask("GET", f"/flow_runs/{old}"))[0] == 404


async def test_a_database_that_restarts_is_told_as_503_and_used_again_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Cluster() as cluster:
        async with site_on(cluster.new_database(), tmp_path) as site:
            run = await site.run()
            await asyncio.to_thread(cluster.halt)
            for replica in (site.first, site.second):
                status, headers, content = await replica.server.request("POST", "/flows/", "", {}, b'{"name": "x"}')
                assert status == 503, content
                assert float(headers["retry-after"]) > 0
                assert b"Traceback" not in content
            await asyncio.to_thread(cluster.start)
            for replica in (site.first, site.second):
                assert (await replica.get(f"/flow_runs/{run}"))["id"] == run
            assert len(await site.second.claim(site.workers[0], wait=30)) == 1
    assert not [record for record in caplog.records if record.exc_info]


async def _true(value: bool) -> bool:
    return value
