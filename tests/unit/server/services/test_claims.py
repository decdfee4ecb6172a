"""Claims, polls, leases and reports through the real store."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from headway.core import states
from headway.core.errors import FencedError, LeaseLostError, NotFound
from headway.core.ids import new_id
from headway.core.rules.facts import Caller, Policy
from headway.store.tables import attempt, flow_run_state, live_run, slot, task_run, work_pool, work_queue
from headway.testing.clock import FrozenClock
from headway.testing.plants import Plant, engine
from headway.testing.waiting import eventually_async
from headway.testing.worlds import opened_world
from headway.wire.base import decode
from headway.wire.flow_runs import FlowRun
from headway.wire.work_pools import ScheduledRun
from headway.wire.workers import (
    AttemptEvent,
)

pytestmark = pytest.mark.anyio
_SECOND = timedelta(seconds=1)


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    async with opened_world(tmp_path, FrozenClock()) as world:
        made = Plant(world)
        await world.add_worker("w1", id=made.worker)
        yield made


async def test_a_claim_writes_pending_and_opens_an_attempt_with_a_lease(plant: Plant) -> None:
    run = await plant.world.add_run(row={"name": "r", "job_variables": {"x": 1}})
    claim = await plant.claimed()
    assert (claim.flow_run.id, claim.attempt, claim.lease_seconds) == (run, 1, 20.0)
    assert (claim.work_pool_name, claim.work_queue_name, claim.flow.name) == ("pool", "default", "flow")
    assert claim.flow_run.state is not None
    assert claim.flow_run.state.type == "PENDING"
    assert (await plant.world.row(attempt, flow_run_id=run))["worker_name"] == "w1"
    assert not (await plant.claim()).claims


async def test_the_same_claim_id_returns_the_same_runs(plant: Plant) -> None:
    for _ in range(3):
        await plant.world.add_run()
    id = new_id()
    first = await plant.claim(2, claim_id=id)
    again = await plant.claim(2, claim_id=id)
    assert {(c.flow_run.id, c.token) for c in first.claims} == {(c.flow_run.id, c.token) for c in again.claims}
    assert len(again.claims) == 2


async def test_queues_are_served_by_priority_then_by_time(plant: Plant) -> None:
    world = plant.world
    first = await world.add_queue("first", priority=0)
    second = await world.add_queue("second", priority=2)
    now = world.clock.now()
    names = {}
    for name, queue, age in [("a", second, 30), ("b", world.queue_id, 10), ("c", world.queue_id, 20), ("d", first, 1)]:
        names[await world.add_run(states.Scheduled(now - _SECOND * age), work_queue_id=queue)] = name
    reply = await plant.claim(10)
    assert [names[claim.flow_run.id] for claim in reply.claims] == ["d", "c", "b", "a"]


async def test_only_named_queues_are_served(plant: Plant) -> None:
    other = await plant.world.add_queue("other")
    await plant.world.add_run()
    wanted = await plant.world.add_run(work_queue_id=other)
    reply = await plant.claim(10, ["other"])
    assert [claim.flow_run.id for claim in reply.claims] == [wanted]
    with pytest.raises(NotFound, match="Work queue 'othr' not found"):
        await plant.claim(10, ["othr"])


async def test_a_run_that_is_not_due_is_not_handed_out(plant: Plant) -> None:
    await plant.world.add_run(states.Scheduled(plant.world.clock.now() + _SECOND * 60))
    assert not (await plant.claim()).claims
    plant.world.clock.advance(61)
    assert len((await plant.claim()).claims) == 1


@pytest.mark.parametrize("table", [work_pool, work_queue])
async def test_limits_of_pool_and_queue_hold_within_one_claim_and_across(plant: Plant, table: Any) -> None:
    world = plant.world
    id = world.pool_id if table is work_pool else world.queue_id
    await world.change(table, id, concurrency_limit=2)
    runs = [await world.add_run() for _ in range(4)]
    claims = (await plant.claim()).claims
    assert len(claims) == 2
    assert not (await plant.claim()).claims
    refused = await world.propose(
        next(run for run in runs if run not in {c.flow_run.id for c in claims}), states.Pending()
    )
    assert refused.status == "ABORT"
    assert "2 of 2" in (refused.reason or "")
    await world.propose(claims[0].flow_run.id, states.Running(), caller=engine(claims[0]))
    await world.propose(claims[0].flow_run.id, states.Completed(), caller=engine(claims[0]))
    assert len((await plant.claim()).claims) == 1


async def test_a_full_deployment_never_blocks_the_rest_and_costs_no_write(plant: Plant) -> None:
    full = await plant.world.add_deployment("full", concurrency_limit=1)
    waiting = [await plant.world.add_run(deployment_id=full) for _ in range(3)]
    free = await plant.world.add_run()
    got = {claim.flow_run.id for claim in (await plant.claim()).claims}
    assert free in got
    assert len(got & set(waiting)) == 1
    left = (set(waiting) - got).pop()
    assert await plant.history(left) == ["Scheduled"]


async def test_a_deployment_slot_is_held_until_the_process_has_ended(plant: Plant) -> None:
    full = await plant.world.add_deployment("full", concurrency_limit=1)
    for _ in range(2):
        await plant.world.add_run(deployment_id=full)
    claim = await plant.claimed()
    await plant.world.propose(claim.flow_run.id, states.Running(), caller=engine(claim))
    await plant.world.propose(claim.flow_run.id, states.Completed(), caller=engine(claim))
    assert not (await plant.claim()).claims
    await plant.report(claim, AttemptEvent.ENDED, exit_code=0)
    assert len((await plant.claim()).claims) == 1


async def test_a_claim_cancels_what_a_full_deployment_does_not_take(plant: Plant) -> None:
    options = {"collision_strategy": "CANCEL_NEW"}
    full = await plant.world.add_deployment("full", concurrency_limit=1, concurrency_options=options)
    runs = [await plant.world.add_run(deployment_id=full) for _ in range(2)]
    assert len((await plant.claim()).claims) == 1
    assert not (await plant.claim()).claims
    assert sorted([(await plant.run(run))["state_type"] for run in runs]) == ["CANCELLED", "PENDING"]


async def test_polling_takes_nothing_and_shows_the_same_runs(plant: Plant) -> None:
    run = await plant.world.add_run()
    polled = decode(bytes(await plant.claims.due_of_pool("pool", [], None, None, 10)), list[ScheduledRun])
    assert [(one.flow_run.id, one.work_queue_id) for one in polled] == [(run, plant.world.queue_id)]
    assert (await plant.world.row(work_queue, id=plant.world.queue_id))["status"] == "READY"
    of_queue = decode(bytes(await plant.claims.due_of_queue(plant.world.queue_id, None, 10)), list[FlowRun])
    assert [one.id for one in of_queue] == [run]
    assert (await plant.claimed()).flow_run.id == run
    assert bytes(await plant.claims.due_of_pool("pool", [], None, None, 10)) == b"[]"


async def test_a_run_whose_configuration_cannot_be_made_is_crashed_with_the_reason(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise NotFound("no such variable")

    monkeypatch.setattr("headway.server.services.claims.resolve", refuse)
    run = await plant.world.add_run(policy=Policy(retries=3))
    assert not (await plant.claim()).claims
    state = (await plant.world.rows(flow_run_state, flow_run_id=run))[-1]
    assert (state["type"], state["message"]) == (
        "CRASHED",
        "The job configuration of this run cannot be made: no such variable",
    )


async def test_what_waits_behind_full_deployments_is_stepped_over_however_much_it_is(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pages of three rows, everything that is wanted lies behind them."""
    monkeypatch.setattr("headway.store.waiting.PAGE", 3)
    world, now = plant.world, plant.world.clock.now()
    low = await world.add_queue("low", priority=9)
    full = [await world.add_deployment(f"full-{n}", concurrency_limit=1) for n in range(2)]
    for deployment in full:
        for age in range(8):
            await world.add_run(states.Scheduled(now - _SECOND * (100 - age)), deployment_id=deployment)
    paused = await world.add_deployment("paused", paused=True)
    await world.add_run(states.Scheduled(now - _SECOND * 90), deployment_id=paused)
    two = await world.add_deployment("two", concurrency_limit=2)
    names = {}
    for name, deployment, queue, age in [
        ("a", world.deployment_id, world.queue_id, 20),
        ("b", two, world.queue_id, 30),
        ("c", two, world.queue_id, 25),
        ("d", two, world.queue_id, 24),
        ("e", None, world.queue_id, 15),
        ("f", world.deployment_id, low, 50),
        ("late", world.deployment_id, world.queue_id, -50),
    ]:
        state = states.Scheduled(now - _SECOND * age)
        names[await world.add_run(state, deployment_id=deployment, work_queue_id=queue)] = name
    first = (await plant.claim(1)).claims + (await plant.claim(1)).claims
    assert {claim.flow_run.deployment_id for claim in first} == set(full)
    assert [names[claim.flow_run.id] for claim in (await plant.claim(2)).claims] == ["b", "c"]
    assert [names[claim.flow_run.id] for claim in (await plant.claim(10)).claims] == ["a", "e", "f"]
    assert not (await plant.claim(10)).claims


async def test_a_claim_that_waits_is_answered_by_the_next_run_and_no_later_than_it_says(plant: Plant) -> None:
    waiting = asyncio.create_task(plant.claim(wait_seconds=30.0))
    await eventually_async(lambda: at(plant.world.wakes.waiting == 1))
    run = await plant.world.add_run()
    assert [claim.flow_run.id for claim in (await waiting).claims] == [run]
    assert not (await plant.claim(wait_seconds=0.01)).claims
    assert plant.world.wakes.waiting == 0


async def test_many_who_wait_share_what_comes(plant: Plant) -> None:
    waiting = [asyncio.create_task(plant.claim(1, wait_seconds=30.0)) for _ in range(50)]
    await eventually_async(lambda: at(plant.world.wakes.waiting == 50))
    runs = {await plant.world.add_run() for _ in range(20)}
    await eventually_async(lambda: at(sum(one.done() for one in waiting) == 20))
    plant.world.wakes.close()
    taken = [claim.flow_run.id for one in waiting for claim in (await one).claims]
    assert (len(taken), set(taken)) == (20, runs)


async def test_who_waits_and_falls_silent_gets_nothing(plant: Plant) -> None:
    """A frozen worker's connection stays open; what it lost must not go back to it."""
    run = await plant.world.add_run(policy=Policy(retries=1))
    claim = await plant.claimed()
    await plant.world.propose(run, states.Running(), caller=engine(claim))
    waiting = asyncio.create_task(plant.claim(wait_seconds=30.0))
    await eventually_async(lambda: at(plant.world.wakes.waiting == 1))
    await plant.pass_time(24)
    assert not (await waiting).claims
    assert (await plant.history(run))[-1] == "AwaitingRetry"
    assert [one.attempt for one in (await plant.claim(wait_seconds=30.0)).claims] == [2]


async def at(value: bool) -> bool:
    return value


# --- leases ---


async def test_a_claim_that_nobody_reports_or_renews_goes_back_and_does_not_count(plant: Plant) -> None:
    run = await plant.world.add_run()
    await plant.claimed()
    assert await plant.pass_time(24) == 1
    assert await plant.history(run) == ["Scheduled", "Pending", "Scheduled"]
    assert (await plant.world.row(attempt, flow_run_id=run))["counts"] is False
    assert not await plant.world.rows(slot)
    assert (await plant.claimed()).attempt == 2


async def test_a_renewed_attempt_lives_and_a_silent_one_is_crashed_with_what_was_below_it(plant: Plant) -> None:
    run = await plant.world.add_run(policy=Policy(retries=1))
    claim = await plant.claimed()
    await plant.report(claim, AttemptEvent.STARTED, handle={"pid": 1}, infrastructure_pid="1")
    await plant.world.propose(run, states.Running(), caller=engine(claim))
    task = await plant.world.add_task(run)
    for _ in range(4):
        assert await plant.pass_time(10) == 0
        assert not (await plant.renew(claim)).lost
    assert await plant.pass_time(24) == 1
    assert (await plant.history(run))[-2:] == ["Crashed", "AwaitingRetry"]
    assert (await plant.world.row(task_run, id=task))["state_type"] == "CRASHED"
    assert [lost.flow_run_id for lost in (await plant.renew(claim)).lost] == [run]
    with pytest.raises(LeaseLostError):
        await plant.world.propose(run, states.Completed(), caller=engine(claim))
    second = await plant.claimed()
    assert second.attempt == 2
    with pytest.raises(LeaseLostError):
        await plant.world.propose(run, states.Completed(), caller=engine(claim))
    await plant.world.propose(run, states.Running(), caller=engine(second, "n2"))
    assert await plant.pass_time(24) == 1
    assert (await plant.run(run))["state_type"] == "CRASHED"


async def test_the_engine_alone_keeps_its_attempt_alive(plant: Plant) -> None:
    run = await plant.world.add_run()
    claim = await plant.claimed()
    await plant.world.propose(run, states.Running(), caller=engine(claim))
    for _ in range(4):
        assert await plant.pass_time(10) == 0
        await plant.attempts.renew_engine(run, engine(claim))
    with pytest.raises(FencedError):
        await plant.attempts.renew_engine(run, engine(claim, "other"))
    await plant.pass_time(24)
    with pytest.raises(LeaseLostError):
        await plant.attempts.renew_engine(run, engine(claim))


async def test_an_outage_of_the_control_plane_ends_no_attempt(plant: Plant) -> None:
    run = await plant.world.add_run()
    claim = await plant.claimed()
    await plant.world.propose(run, states.Running(), caller=engine(claim))
    await plant.reaper.run_once()
    plant.world.clock.advance(3600)
    assert await plant.pass_time(10) == 0
    assert not (await plant.renew(claim)).lost
    assert (await plant.run(run))["state_type"] == "RUNNING"


async def test_a_process_that_replaces_another_of_the_same_attempt_is_fenced(plant: Plant) -> None:
    run = await plant.world.add_run()
    claim = await plant.claimed()
    await plant.world.propose(run, states.Running(), caller=engine(claim))
    with pytest.raises(FencedError):
        await plant.world.propose(run, states.Running(), caller=engine(claim, "n2"))


async def test_attempts_of_a_silent_worker_are_offered_until_one_renews_them(plant: Plant) -> None:
    run = await plant.world.add_run()
    claim = await plant.claimed()
    await plant.report(claim, AttemptEvent.STARTED, handle={"pid": 1})
    await plant.world.propose(run, states.Running(), caller=engine(claim))
    other = await plant.world.add_worker("w2")
    await plant.pass_time(14)
    await plant.attempts.renew_engine(run, engine(claim))
    await plant.pass_time(10)
    offered = (await plant.renew(worker=other)).adopt
    assert [(o.flow_run_id, o.token, o.handle, o.worker_name) for o in offered] == [
        (run, claim.token, {"pid": 1}, "w1")
    ]
    assert (await plant.claim(0, worker_id=other)).adopt == offered
    assert not (await plant.claim(0)).adopt
    assert not (await plant.renew(claim, worker=other)).lost
    assert not (await plant.claim(0)).adopt
    assert [lost.flow_run_id for lost in (await plant.renew(claim)).lost] == [run]


# --- reports ---


async def test_a_process_that_dies_crashes_its_run_with_the_signal(plant: Plant) -> None:
    run = await plant.world.add_run()
    claim = await plant.claimed()
    await plant.world.propose(run, states.Running(), caller=engine(claim))
    reply = await plant.report(claim, AttemptEvent.ENDED, signal=9)
    assert (reply.state.type, reply.retry_scheduled) == ("CRASHED", False)
    assert "9 (SIGKILL)" in reply.state.message
    assert not await plant.world.rows(slot)


async def test_a_crash_with_retries_left_waits_for_the_next_attempt(plant: Plant) -> None:
    run = await plant.world.add_run(policy=Policy(retries=2, retry_delay=5))
    claim = await plant.claimed()
    await plant.world.propose(run, states.Running(), caller=engine(claim))
    reply = await plant.report(claim, AttemptEvent.ENDED, exit_code=1)
    assert (reply.state.name, reply.retry_scheduled) == ("AwaitingRetry", True)
    again = await plant.report(claim, AttemptEvent.ENDED, exit_code=1)
    assert (again.state.id, again.retry_scheduled) == (reply.state.id, True)
    assert not (await plant.claim()).claims
    plant.world.clock.advance(6)
    second = await plant.claimed()
    assert second.attempt == 2
    late = await plant.report(claim, AttemptEvent.ENDED, exit_code=1)
    assert late.state.id == reply.state.id
    assert (await plant.run(run))["state_type"] == "PENDING"


async def test_a_released_run_goes_back_with_its_time(plant: Plant) -> None:
    run = await plant.world.add_run()
    due = (await plant.world.row(live_run, flow_run_id=run))["due"]
    claim = await plant.claimed()
    plant.world.clock.advance(3)
    reply = await plant.report(claim, AttemptEvent.RELEASED)
    assert reply.state.type == "SCHEDULED"
    assert (await plant.world.row(live_run, flow_run_id=run))["due"] == due


async def test_failures_to_start_are_tried_three_times_with_back_off(plant: Plant) -> None:
    run = await plant.world.add_run(policy=Policy(retries=5))
    for tries, state in [(1, "SCHEDULED"), (2, "SCHEDULED"), (3, "CRASHED")]:
        claim = await plant.claimed()
        reply = await plant.report(claim, AttemptEvent.START_FAILED, reason="no image")
        assert (claim.attempt, reply.state.type) == (tries, state)
        plant.world.clock.advance(60)
    assert not await plant.world.rows(live_run, flow_run_id=run)


async def test_a_wrong_configuration_is_not_tried_again(plant: Plant) -> None:
    await plant.world.add_run(policy=Policy(retries=5))
    reply = await plant.report(await plant.claimed(), AttemptEvent.START_FAILED, reason="bad", retryable=False)
    assert reply.state.type == "CRASHED"


async def test_a_report_with_a_wrong_token_is_refused(plant: Plant) -> None:
    await plant.world.add_run()
    claim = await plant.claimed()
    claim.token = "guessed"
    with pytest.raises(FencedError):
        await plant.report(claim, AttemptEvent.ENDED)


async def test_cancelling_orders_the_worker_to_stop_and_the_end_makes_it_cancelled(plant: Plant) -> None:
    run = await plant.world.add_run()
    claim = await plant.claimed()
    await plant.world.propose(run, states.Running(), caller=engine(claim))
    await plant.world.propose(run, states.Cancelling(), caller=Caller())
    orders = (await plant.renew(claim)).stop
    assert [(order.flow_run_id, order.attempt, order.grace_seconds) for order in orders] == [(run, 1, 5.0)]
    assert [order.flow_run_id for order in (await plant.claim(0)).stop] == [run]
    reply = await plant.report(claim, AttemptEvent.ENDED, signal=15)
    assert reply.state.type == "CANCELLED"
    assert not (await plant.claim(0)).stop


async def test_a_cancelled_run_whose_worker_is_dead_is_offered_to_the_next_one_who_ends_it(plant: Plant) -> None:
    run = await plant.world.add_run()
    claim = await plant.claimed()
    await plant.report(claim, AttemptEvent.STARTED, handle={"pid": 1}, infrastructure_pid="host:1")
    await plant.world.propose(run, states.Running(), caller=engine(claim))
    await plant.world.propose(run, states.Cancelling(), caller=Caller())
    assert await plant.pass_time(60) == 1
    last = (await plant.world.rows(flow_run_state, flow_run_id=run))[-1]
    assert (last["type"], last["message"]) == (
        "CANCELLING",
        "Nothing is heard from worker 'w1'; infrastructure may still run: host:1",
    )
    other = await plant.world.add_worker("w2")
    (offer,) = (await plant.claim(0, worker_id=other)).adopt
    assert (offer.flow_run_id, offer.cancelling) == (run, True)
    assert [order.flow_run_id for order in (await plant.renew(claim, worker=other)).stop] == [run]
    assert (await plant.report(claim, AttemptEvent.ENDED, signal=9)).state.type == "CANCELLED"
    assert not await plant.world.rows(slot)


async def test_a_cancelled_run_that_nobody_can_reach_is_given_up_and_says_so(plant: Plant) -> None:
    run = await plant.world.add_run()
    claim = await plant.claimed()
    await plant.report(claim, AttemptEvent.STARTED, handle={"pid": 1}, infrastructure_pid="host:1")
    await plant.world.propose(run, states.Cancelling(), caller=Caller())
    await plant.pass_time(30)
    for _ in range(30):
        await plant.pass_time(10)
    assert await plant.cancellations.run_once() == 1
    last = (await plant.world.rows(flow_run_state, flow_run_id=run))[-1]
    assert (last["type"], "may still run: host:1" in last["message"]) == ("CANCELLED", True)
    await plant.pass_time(30)
    assert (await plant.world.row(attempt, flow_run_id=run))["ended"] is not None


async def test_an_engine_that_says_it_crashed_is_retried_once_its_process_has_ended(plant: Plant) -> None:
    run = await plant.world.add_run(policy=Policy(retries=1))
    claim = await plant.claimed()
    await plant.world.propose(run, states.Running(), caller=engine(claim))
    decision = await plant.world.propose(run, states.Crashed("out of memory"), caller=engine(claim))
    assert decision.state is not None
    assert (decision.status, decision.state.name) == ("REJECT", "AwaitingRetry")
    assert not (await plant.claim()).claims
    await plant.report(claim, AttemptEvent.ENDED, exit_code=1)
    assert (await plant.claimed()).attempt == 2


# --- loops ---


async def test_overdue_runs_are_marked_late_once(plant: Plant) -> None:
    run = await plant.world.add_run()
    assert await plant.late.run_once() == 0
    plant.world.clock.advance(16)
    assert await plant.late.run_once() == 1
    assert await plant.late.run_once() == 0
    assert await plant.history(run) == ["Scheduled", "Late"]
    assert (await plant.claimed()).flow_run.id == run


async def test_pauses_that_ran_out_fail(plant: Plant) -> None:
    run = await plant.world.add_run(states.Running())
    await plant.world.propose(run, states.Paused(pause_timeout=plant.world.clock.now() + _SECOND * 10))
    assert await plant.pauses.run_once() == 0
    plant.world.clock.advance(11)
    assert await plant.pauses.run_once() == 1
    assert (await plant.run(run))["state_type"] == "FAILED"


async def test_cancellations_that_nobody_finishes_are_finished(plant: Plant) -> None:
    run = await plant.world.add_run(states.Running())
    await plant.world.propose(run, states.Cancelling())
    plant.world.clock.advance(299)
    assert await plant.cancellations.run_once() == 0
    plant.world.clock.advance(2)
    assert await plant.cancellations.run_once() == 1
    assert (await plant.run(run))["state_type"] == "CANCELLED"
