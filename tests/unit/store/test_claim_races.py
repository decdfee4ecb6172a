"""Two replicas on one PostgreSQL claim at once: no run goes out twice, no limit is exceeded, nothing is left behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from headway.core.errors import HeadwayError
from headway.core.ids import new_id
from headway.core.rules.commands import EndAttempt, Ending
from headway.core.rules.facts import Terms
from headway.store.claims import LOOK_AGAIN, ClaimStore
from headway.store.database import Database
from headway.store.protocols import Claimed, ClaimOf
from headway.store.tables import slot, work_pool
from headway.store.transitions import TransitionStore
from headway.testing.clock import FrozenClock
from headway.testing.databases import SharedDatabase, point_to
from headway.testing.postgres import Cluster
from headway.testing.worlds import World, opened_world

pytestmark = pytest.mark.anyio
POOL_LIMIT, DEPLOYMENT_LIMIT = 6, 2


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Replica:
    """The stores of one server, and a worker that asks there."""

    def __init__(self, url: str, world: World, worker: UUID) -> None:
        self.database = Database(url)
        self._claims, self._transitions = ClaimStore(self.database), TransitionStore(self.database)
        self._world, self._worker = world, worker

    @property
    def _now(self) -> datetime:
        return self._world.clock.now()

    async def take(self, limit: int) -> list[dict[str, Any]]:
        return list((await self.claim(limit)).attempts)

    async def claim(self, limit: int) -> Claimed:
        request = ClaimOf("pool", new_id(), self._worker, [], limit, grace=5.0)
        (answer,) = await self._claims.claim([request], self._now, Terms())
        assert isinstance(answer, Claimed), answer
        return answer

    async def give_back(self, attempt: dict[str, Any]) -> None:
        command = EndAttempt(attempt["flow_run_id"], attempt["number"], Ending.ENDED, token=attempt["token"])
        (outcome,) = await self._transitions.execute([command], self._now, Terms())
        assert not isinstance(outcome, HeadwayError), outcome


async def test_a_run_that_somebody_else_holds_is_passed_over_not_waited_for(tmp_path: Path, postgres: Cluster) -> None:
    url = SharedDatabase(postgres).url
    point_to(tmp_path, url)
    async with opened_world(tmp_path, FrozenClock()) as world:
        runs = [await world.add_run() for _ in range(5)]
        replica = Replica(url, world, await world.add_worker("w"))
        try:
            with psycopg.connect(url) as other:
                other.execute("SELECT id FROM flow_run WHERE id = ANY(%s) FOR UPDATE", [runs[:3]])
                assert {attempt["flow_run_id"] for attempt in await replica.take(2)} == set(runs[3:])
                held = await replica.claim(2)
                assert not held.attempts
                # Not when a bell rings: that may have been before.
                assert held.next_due == world.clock.now() + LOOK_AGAIN
            assert len(await replica.take(5)) == 3
        finally:
            await replica.database.close()


async def test_two_replicas_share_what_waits_and_keep_every_limit(tmp_path: Path, postgres: Cluster) -> None:
    url = SharedDatabase(postgres).url
    point_to(tmp_path, url)
    async with opened_world(tmp_path, FrozenClock()) as world:
        await world.change(work_pool, world.pool_id, concurrency_limit=POOL_LIMIT)
        narrow = await world.add_deployment("narrow", concurrency_limit=DEPLOYMENT_LIMIT)
        runs = {await world.add_run(deployment_id=narrow) for _ in range(12)}
        runs |= {await world.add_run() for _ in range(12)}
        replicas = [Replica(url, world, await world.add_worker(f"w{number}")) for number in range(2)]
        taken: Counter[UUID] = Counter()

        async def work(replica: Replica) -> None:
            while len(taken) < len(runs):
                mine = await replica.take(3)
                taken.update(attempt["flow_run_id"] for attempt in mine)
                held = Counter(row["limit_id"] for row in await world.rows(slot))
                assert held[world.pool_id] <= POOL_LIMIT
                assert held[narrow] <= DEPLOYMENT_LIMIT
                await asyncio.gather(*(replica.give_back(attempt) for attempt in mine))

        try:
            async with asyncio.timeout(120):
                await asyncio.gather(*(work(replica) for replica in replicas for _ in range(3)))
        finally:
            for replica in replicas:
                await replica.database.close()
        assert taken == dict.fromkeys(runs, 1)
        assert not await world.rows(slot)
