"""Which processes a worker is told to end: those that outstay their run, whatever state it is in."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from headway.core import states
from headway.core.rules.facts import Policy
from headway.core.states import State, StateType
from headway.testing.clock import FrozenClock
from headway.testing.plants import Plant, engine
from headway.testing.worlds import opened_world
from headway.wire.workers import AttemptEvent, Claim

pytestmark = pytest.mark.anyio


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    async with opened_world(tmp_path, FrozenClock()) as world:
        made = Plant(world)
        await world.add_worker("w1", id=made.worker)
        yield made


async def running(plant: Plant, policy: Policy | None = None) -> tuple[UUID, Claim]:
    run = await plant.world.add_run(policy=policy or Policy())
    claim = await plant.claimed()
    await plant.report(claim, AttemptEvent.STARTED, handle={"pid": 1})
    await plant.world.propose(run, states.Running(), caller=engine(claim))
    return run, claim


async def told_after(plant: Plant, claim: Claim, seconds: int) -> list[str]:
    """The reasons of the stop orders, once so much time has passed with the worker renewing."""
    for _ in range(0, seconds, 10):
        await plant.pass_time(10)
        reply = await plant.renew(claim)
        assert not reply.lost
    return [order.reason for order in reply.stop]


@pytest.mark.parametrize("end", [states.Completed(), states.Failed("broken")])
async def test_a_process_that_hangs_after_its_run_has_ended_is_stopped_in_the_end(plant: Plant, end: State) -> None:
    run, claim = await running(plant)
    await plant.world.propose(run, end, caller=engine(claim))
    assert await told_after(plant, claim, 100) == []
    assert await told_after(plant, claim, 60) == [f"The run is {end.name}."]


async def test_a_suspended_run_has_no_use_for_its_process(plant: Plant) -> None:
    run, claim = await running(plant)
    suspended = State(StateType.PAUSED, "Suspended", None).with_details(pause_reschedule=True)
    await plant.world.propose(run, suspended, caller=engine(claim))
    assert await told_after(plant, claim, 40) == []
    assert await told_after(plant, claim, 20) == ["The run is Suspended."]


async def test_a_process_waits_as_long_as_it_likes_for_a_retry_of_its_own(plant: Plant) -> None:
    run, claim = await running(plant, Policy(retries=1, retry_delay=3600))
    await plant.world.propose(run, states.Failed("once"), caller=engine(claim))
    assert (await plant.run(run))["state_name"] == "AwaitingRetry"
    assert await told_after(plant, claim, 200) == []


async def test_a_run_that_was_restarted_does_not_wait_for_ever_for_its_old_process(plant: Plant) -> None:
    run, claim = await running(plant)
    await plant.world.propose(run, states.Failed("broken"), caller=engine(claim))
    await plant.world.propose(run, states.AwaitingRetry(plant.world.clock.now()))
    assert await told_after(plant, claim, 40) == []
    assert await told_after(plant, claim, 20) == ["The run is AwaitingRetry."]
