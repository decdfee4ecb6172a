"""Explain says what polling and claiming do, and why."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.core import states
from headway.core.errors import NotFound
from headway.core.ids import new_id
from headway.core.rules.facts import Caller, Policy
from headway.core.states import State
from headway.server.services.claims import ClaimService
from headway.server.services.explain import BLOCKING, ExplainService
from headway.store.claims import ClaimStore
from headway.store.explain import ExplainStore
from headway.store.run_records import RunRecordStore
from headway.store.tables import deployment, work_pool, work_queue
from headway.testing.clock import FrozenClock
from headway.testing.worlds import World, opened_world
from headway.wire.base import decode, encode
from headway.wire.explain import Explanation
from headway.wire.work_pools import ScheduledRun
from headway.wire.workers import ClaimReply, ClaimRequest

SECOND = timedelta(seconds=1)


class Desk:
    """A world, and the services that a question and a poll go to."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.explanations = ExplainService(ExplainStore(world.database), world.clock)
        records = RunRecordStore(world.database)
        self.claims = ClaimService(ClaimStore(world.database), records, world.transitions, world.clock, world.settings)

    async def explain(self, run_id: UUID) -> Explanation:
        return await self.explanations.explain(run_id)

    async def codes(self, run_id: UUID) -> set[str]:
        return {reason.code for reason in (await self.explain(run_id)).reasons}

    async def message(self, run_id: UUID, code: str) -> str:
        return next(reason.message for reason in (await self.explain(run_id)).reasons if reason.code == code)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened_world(tmp_path, FrozenClock()) as world:
        yield Desk(world)


@pytest.mark.anyio
async def test_a_run_that_a_worker_will_take_has_no_reasons(desk: Desk) -> None:
    await desk.world.add_worker("w1")
    explanation = await desk.explain(await desk.world.add_run())
    assert explanation.claimable
    assert not explanation.reasons


@pytest.mark.anyio
async def test_a_run_that_does_not_exist_is_not_explained(desk: Desk) -> None:
    with pytest.raises(NotFound):
        await desk.explain(new_id())


@pytest.mark.anyio
async def test_all_reasons_come_at_once(desk: Desk) -> None:
    world = desk.world
    run = await world.add_run(states.Scheduled(world.clock.now() + 40 * SECOND))
    for table, id in ((work_pool, world.pool_id), (work_queue, world.queue_id)):
        await world.change(table, id, is_paused=True, concurrency_limit=0)
    await world.change(deployment, world.deployment_id, paused=True, concurrency_limit=0)
    explanation = await desk.explain(run)
    assert not explanation.claimable
    assert [reason.code for reason in explanation.reasons] == [
        "not_due",
        "pool_paused",
        "queue_paused",
        "deployment_paused",
        "pool_limit",
        "queue_limit",
        "deployment_limit",
        "no_worker",
    ]
    assert explanation.reasons[0].message == "The run is not due before 2026-01-15 12:00:40 UTC, in 40 s."


@pytest.mark.anyio
async def test_a_full_pool_is_named_with_its_use(desk: Desk) -> None:
    await desk.world.change(work_pool, desk.world.pool_id, concurrency_limit=1)
    await desk.world.add_run(states.Running())
    run = await desk.world.add_run()
    assert await desk.message(run, "pool_limit") == "Work pool 'pool' is at its concurrency limit: 1 of 1."


@pytest.mark.anyio
async def test_a_run_behind_others_says_how_many(desk: Desk) -> None:
    await desk.world.add_worker("w1")
    await desk.world.change(work_pool, desk.world.pool_id, concurrency_limit=1)
    await desk.world.add_run(states.Scheduled(desk.world.clock.now() - SECOND))
    run = await desk.world.add_run()
    assert await desk.codes(run) == {"behind_others"}


@pytest.mark.anyio
async def test_a_queue_that_nobody_serves_is_named_with_the_ones_that_are(desk: Desk) -> None:
    await desk.world.add_worker("w1", work_queues=["default"])
    high = await desk.world.add_queue("high-memory")
    run = await desk.world.add_run(work_queue_id=high)
    assert (await desk.explain(run)).claimable
    expected = (
        "No worker of work pool 'pool' serves 'high-memory' (workers serve: default). "
        "Start one with: headway worker start --pool pool --work-queue high-memory"
    )
    assert await desk.message(run, "queue_not_served") == expected


@pytest.mark.anyio
async def test_a_worker_at_its_limit_is_named(desk: Desk) -> None:
    worker = await desk.world.add_worker("w1", concurrency_limit=2)
    for _ in range(3):
        run = await desk.world.add_run()
    request = ClaimRequest(claim_id=new_id(), worker_id=worker, limit=2)
    taken = {claim.flow_run.id for claim in (await desk.claims.claim("pool", request)).claims}
    assert len(taken) == 2
    assert await desk.message(run, "worker_at_limit") == "Worker 'w1' is at its limit: 2 of 2."


@pytest.mark.anyio
async def test_a_silent_worker_does_not_count(desk: Desk) -> None:
    await desk.world.add_worker("w1")
    run = await desk.world.add_run()
    desk.world.clock.advance(91)
    assert await desk.codes(run) == {"no_worker"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("first", "then", "code"),
    [
        (states.Running(), None, "not_scheduled"),
        (states.Completed(), None, "not_scheduled"),
        (states.Running(), states.Failed(), "in_process_retry"),
    ],
)
async def test_states_that_nobody_claims_say_so(desk: Desk, first: State, then: State | None, code: str) -> None:
    run = await desk.world.add_run(first, policy=Policy(retries=1, retry_delay=30))
    if then is not None:
        await desk.world.propose(run, then)
    assert code in await desk.codes(run)
    assert not (await desk.explain(run)).claimable


@pytest.mark.anyio
async def test_a_run_that_does_not_wait_says_why_and_who_has_it(desk: Desk) -> None:
    worker = await desk.world.add_worker("w1")
    run = await desk.world.add_run()
    await desk.claims.claim("pool", ClaimRequest(claim_id=new_id(), worker_id=worker, limit=1))
    await desk.world.propose(run, states.Cancelling("Not needed any more."))
    assert await desk.message(run, "not_scheduled") == (
        "The run is Cancelling; only scheduled runs wait for a worker. Not needed any more. "
        "Attempt 1 has it, on worker 'w1'."
    )


@pytest.mark.anyio
async def test_a_retry_after_a_crash_and_a_process_that_has_not_ended_are_told(desk: Desk) -> None:
    worker = await desk.world.add_worker("w1")
    run = await desk.world.add_run(policy=Policy(retries=1, retry_delay=30))
    request = ClaimRequest(claim_id=new_id(), worker_id=worker, limit=1)
    claim = (await desk.claims.claim("pool", request)).claims[0]
    caller = Caller(claim.token, "n", 1)
    await desk.world.propose(run, states.Running(), caller=caller)
    await desk.world.propose(run, states.Crashed(), caller=caller)
    assert await desk.codes(run) == {"attempt_not_ended", "waiting_for_retry"}
    assert await desk.message(run, "waiting_for_retry") == "The run waits for its next attempt, in 30 s."


@pytest.mark.anyio
async def test_runs_that_no_worker_can_find_say_what_is_missing(desk: Desk) -> None:
    nowhere = await desk.world.add_run(work_pool_id=None, work_queue_id=None)
    assert (await desk.explain(nowhere)).claimable  # by whoever serves its deployment
    alone = await desk.world.add_run(deployment_id=None, work_pool_id=None, work_queue_id=None)
    assert await desk.codes(alone) == {"no_pool"}
    queueless = await desk.world.add_run(work_queue_id=new_id())
    assert await desk.codes(queueless) == {"no_queue"}
    orphan = await desk.world.add_run(deployment_id=new_id())
    assert "deployment_gone" in await desk.codes(orphan)


# --- the promise: claimable exactly when a poll returns the run ---


@dataclass(frozen=True)
class Plan:
    """A pool as hypothesis makes it up: limits are None (unlimited) or a number."""

    pool: tuple[bool, int | None]
    queues: list[tuple[bool, int | None, int]]
    deployments: list[tuple[bool, int | None, bool]]
    runs: list[tuple[str, int, int, int]]


_limits = st.one_of(st.none(), st.integers(0, 3))
_pausing = st.sampled_from([False, False, False, True])
_plans = st.builds(
    Plan,
    pool=st.tuples(_pausing, _limits),
    queues=st.lists(st.tuples(_pausing, _limits, st.integers(0, 3)), min_size=1, max_size=3),
    deployments=st.lists(st.tuples(_pausing, _limits, st.booleans()), min_size=1, max_size=3),
    runs=st.lists(
        st.tuples(
            st.sampled_from(["due", "due", "due", "late", "soon", "pending", "running", "retrying", "done"]),
            st.integers(0, 2),
            st.integers(0, 2),
            st.integers(0, 5),
        ),
        min_size=1,
        max_size=8,
    ),
)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Desk]]:
    with asyncio.Runner() as loop:
        context = opened_world(tmp_path_factory.mktemp("explain"), FrozenClock())
        yield loop, Desk(loop.run(context.__aenter__()))
        loop.run(context.__aexit__(None, None, None))


async def build(world: World, plan: Plan) -> tuple[str, list[UUID]]:
    """A new pool made after the plan, in the one database of the module."""
    name = f"pool-{new_id()}"
    paused, limit = plan.pool
    values = {"name": name, "type": "process", "is_paused": paused, "concurrency_limit": limit}
    pool = await world._add(work_pool, **values)
    queues = [
        await world.add_queue(f"q{n}", work_pool_id=pool, is_paused=paused, concurrency_limit=limit, priority=priority)
        for n, (paused, limit, priority) in enumerate(plan.queues)
    ]
    deployments = [
        await world.add_deployment(
            f"{name}-{n}",
            paused=paused,
            concurrency_limit=limit,
            concurrency_options={"collision_strategy": "CANCEL_NEW" if cancel_new else "ENQUEUE"},
        )
        for n, (paused, limit, cancel_new) in enumerate(plan.deployments)
    ]
    runs = []
    for kind, queue, by, age in plan.runs:
        place: dict[str, Any] = {
            "work_pool_id": pool,
            "work_queue_id": queues[queue % len(queues)],
            "deployment_id": deployments[by % len(deployments)],
        }
        runs.append(await add_run(world, kind, age, place))
    return name, runs


async def add_run(world: World, kind: str, age: int, place: dict[str, Any]) -> UUID:
    due = world.clock.now() - age * SECOND
    first = {
        "due": states.Scheduled(due),
        "late": states.Late(due),
        "soon": states.Scheduled(world.clock.now() + SECOND),
        "pending": states.Pending(),
        "done": states.Completed(),
    }.get(kind, states.Running())
    run = await world.add_run(first, policy=Policy(retries=1), **place)
    if kind == "retrying":
        await world.propose(run, states.Failed())
    return run


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=_plans)
def test_claimable_is_true_exactly_when_a_poll_and_a_claim_return_the_run(
    runner: tuple[asyncio.Runner, Desk], plan: Plan
) -> None:
    loop, desk = runner

    async def check() -> None:
        pool, runs = await build(desk.world, plan)
        found = decode(bytes(await desk.claims.due_of_pool(pool, [], None, None, 200)), list[ScheduledRun])
        polled = {one.flow_run.id for one in found}
        explained = {run: await desk.explain(run) for run in runs}
        for run, explanation in explained.items():
            codes = {reason.code for reason in explanation.reasons}
            assert explanation.claimable == (run in polled), codes
            assert explanation.claimable == (not codes & BLOCKING), codes
        pool_id = (await desk.world.row(work_pool, name=pool))["id"]
        worker = await desk.world.add_worker("w", work_pool_id=pool_id)
        request = ClaimRequest(claim_id=new_id(), worker_id=worker, limit=200)
        reply = decode(encode(await desk.claims.claim(pool, request)), ClaimReply)
        assert {claim.flow_run.id for claim in reply.claims} == polled

    loop.run(check())
