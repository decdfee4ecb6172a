"""Transitions through the real store: what the rules decide is what the tables hold."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headway.core import states
from headway.core.errors import Conflict, FencedError, LeaseLostError, NotFound
from headway.core.ids import new_id
from headway.core.rules.commands import ProposeTask
from headway.core.rules.facts import Caller, Policy
from headway.store.tables import (
    attempt,
    flow_run,
    flow_run_input,
    flow_run_state,
    live_run,
    slot,
    task_run,
    task_run_state,
)
from headway.testing.clock import FrozenClock
from headway.testing.worlds import World, opened_world

pytestmark = pytest.mark.anyio

ENGINE = Caller(nonce="n1")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(tmp_path, FrozenClock()) as opened:
        yield opened


async def names(world: World, run_id: object) -> list[str]:
    return [row["name"] for row in await world.rows(flow_run_state, flow_run_id=run_id)]


async def test_a_run_through_its_life_leaves_history_and_no_hot_rows(world: World) -> None:
    run = await world.add_run()
    assert (await world.row(live_run, flow_run_id=run))["claimable"] is True
    await world.propose(run, states.Pending())
    assert len(await world.rows(slot, flow_run_id=run)) == 3
    await world.propose(run, states.Running())
    world.clock.advance(5)
    await world.propose(run, states.Completed(data={"type": "reference"}))
    assert await names(world, run) == ["Scheduled", "Pending", "Running", "Completed"]
    row = await world.row(flow_run, id=run)
    assert (row["state_type"], row["run_count"], row["total_run_time"]) == ("COMPLETED", 1, pytest.approx(5, abs=0.001))
    assert row["end_time"] == world.clock.now()
    assert not await world.rows(live_run)
    assert not await world.rows(slot)


async def test_commands_that_arrive_together_see_what_the_ones_before_them_left(world: World) -> None:
    run = await world.add_run()
    decisions = await asyncio.gather(*(world.propose(run, states.Pending()) for _ in range(5)))
    assert [decision.status for decision in decisions] == ["ACCEPT", *["ABORT"] * 4]
    assert await names(world, run) == ["Scheduled", "Pending"]


async def test_two_runs_that_arrive_together_do_not_share_the_last_slot(world: World) -> None:
    limited = await world.add_deployment("limited", concurrency_limit=1)
    runs = [await world.add_run(deployment_id=limited) for _ in range(2)]
    decisions = await asyncio.gather(*(world.propose(run, states.Pending()) for run in runs))
    assert [d.state.name for d in decisions if d.state] == ["Pending", "AwaitingConcurrencySlot"]
    assert len(await world.rows(slot, limit_id=limited)) == 1


async def test_a_command_that_fails_fails_alone(world: World) -> None:
    run = await world.add_run()
    outcomes = await asyncio.gather(
        world.propose(new_id(), states.Pending()),
        world.add_run(row={"name": None}),
        world.propose(run, states.Pending()),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], NotFound)
    assert isinstance(outcomes[1], Exception)
    assert (await world.row(flow_run, id=run))["state_name"] == "Pending"


async def test_the_same_idempotency_key_makes_one_run_even_in_one_batch(world: World) -> None:
    await asyncio.gather(*(world.add_run(row={"name": "r", "idempotency_key": "k"}) for _ in range(3)))
    await world.add_run(row={"name": "r", "idempotency_key": "k"})
    assert len(await world.rows(flow_run)) == 1


async def test_an_engine_that_nobody_claimed_opens_an_attempt_and_keeps_others_out(world: World) -> None:
    run = await world.add_run(states.Pending(), deployment_id=None, work_pool_id=None, work_queue_id=None)
    await world.propose(run, states.Running(), caller=ENGINE)
    opened = await world.row(attempt, flow_run_id=run)
    assert (opened["number"], opened["nonce"], opened["worker_id"]) == (1, "n1", None)
    assert (await world.row(live_run, flow_run_id=run))["attempt"] == 1
    with pytest.raises(FencedError):
        await world.propose(run, states.Completed(), caller=Caller(nonce="other"))
    with pytest.raises(Conflict):
        await world.propose(run, states.Completed(), caller=Caller())
    await world.propose(run, states.Completed(), caller=ENGINE)
    assert (await world.row(attempt, flow_run_id=run))["ended"] == world.clock.now()
    with pytest.raises(LeaseLostError):
        await world.propose(run, states.Running(), caller=ENGINE)


async def test_a_stock_engine_is_unbound_and_gets_no_lease(world: World) -> None:
    run = await world.add_run(states.Pending(), caller=Caller())
    await world.propose(run, states.Running(), caller=Caller())
    assert not await world.rows(attempt)
    await world.propose(run, states.Completed(), caller=Caller())
    assert (await world.row(flow_run, id=run))["state_type"] == "COMPLETED"


async def test_an_inline_subflow_shares_its_roots_attempt(world: World) -> None:
    root = await world.add_run(states.Pending(), deployment_id=None, work_pool_id=None, work_queue_id=None)
    await world.propose(root, states.Running(), caller=ENGINE)
    stand_in = await world.add_task(root)
    alone = {"deployment_id": None, "work_pool_id": None, "work_queue_id": None}
    child = await world.add_run(states.Pending(), ENGINE, parent_task_run_id=stand_in, **alone)
    assert (await world.row(flow_run, id=child))["root_flow_run_id"] == root
    with pytest.raises(FencedError):
        await world.propose(child, states.Running(), caller=Caller(nonce="other"))
    await world.propose(child, states.Running(), caller=ENGINE)
    assert len(await world.rows(attempt)) == 1
    copies = await world.rows(task_run_state, task_run_id=stand_in)
    assert [copy["name"] for copy in copies] == ["Pending", "Running"]
    assert copies[-1]["state_details"]["child_flow_run_id"] == str(child)
    assert (await world.row(task_run, id=stand_in))["state_type"] == "RUNNING"


async def test_cancelling_a_parent_cancels_its_tasks_subflows_and_asks_its_deployed_children(world: World) -> None:
    root = await world.add_run(states.Running(), infrastructure_pid="x")
    task, inline_task, deployed_task = [await world.add_task(root, name) for name in ("a", "b", "c")]
    alone = {"deployment_id": None, "work_pool_id": None, "work_queue_id": None}
    inline = await world.add_run(states.Running(), parent_task_run_id=inline_task, **alone)
    inner = await world.add_task(inline)
    deployed = await world.add_run(states.Running(), parent_task_run_id=deployed_task)
    await world.propose(root, states.Cancelling())
    await world.propose(root, states.Cancelled())
    assert (await world.row(flow_run, id=inline))["state_type"] == "CANCELLED"
    assert (await world.row(flow_run, id=deployed))["state_type"] == "CANCELLING"
    for id in (task, inline_task, inner):
        assert (await world.row(task_run, id=id))["state_type"] == "CANCELLED"


async def test_a_failure_with_retries_left_stays_owned_and_unclaimable(world: World) -> None:
    run = await world.add_run(states.Running(), policy=Policy(retries=1, retry_delay=0))
    await world.propose(run, states.Failed("boom"))
    row = await world.row(live_run, flow_run_id=run)
    assert (row["state_name"], row["claimable"], row["retries_used"]) == ("AwaitingRetry", False, 1)
    await world.propose(run, states.Running())
    await world.propose(run, states.Failed("boom"))
    assert (await world.row(flow_run, id=run))["state_type"] == "FAILED"


async def test_resuming_with_input_checks_it_and_keeps_the_answer(world: World) -> None:
    run = await world.add_run(states.Running())
    keyset = {"schema": "k-schema", "response": "k-response"}
    await world.propose(run, states.Paused(run_input_keyset=keyset))
    schema = json.dumps({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]})
    await world._add(flow_run_input, flow_run_id=run, key="k-schema", value=schema)
    refused, _ = await world.transitions.resume(run, {"x": "no"})
    assert refused.status == "REJECT"
    resumed, written = await world.transitions.resume(run, {"x": 3})
    assert (resumed.status, written) == ("ACCEPT", True)
    answer = await world.row(flow_run_input, flow_run_id=run, key="k-response")
    assert json.loads(answer["value"]) == {"x": 3}
    again, _ = await world.transitions.resume(run, None)
    assert (again.status, again.state) == ("ABORT", None)


async def test_a_cached_task_is_completed_without_running(world: World) -> None:
    run = await world.add_run(states.Running())
    first, second = [await world.add_task(run, name) for name in ("a", "b")]
    submit = world.transitions.submit
    await submit(ProposeTask(first, states.Running()))
    await submit(ProposeTask(first, states.Completed(data={"v": 1}, cache_key="k")))
    decision = await submit(ProposeTask(second, states.Running(cache_key="k")))
    assert decision.state is not None
    assert (decision.status, decision.state.name, decision.state.data) == ("REJECT", "Cached", {"v": 1})


async def test_a_state_is_kept_whatever_its_words_are(world: World) -> None:
    run = await world.add_run()
    said = states.Failed("died of \0 and \\u0000")
    said = dataclasses.replace(said, data={"type": "x", "text": "\0 \\0"}, details={"a": {"b": "\0"}})
    await world.propose(run, said)
    row = (await world.rows(flow_run_state, flow_run_id=run, type="FAILED"))[0]
    nul = "\0" if world.database.is_sqlite else "\ufffd"  # differs because PostgreSQL keeps no NUL
    assert row["data"] == {"type": "x", "text": f"{nul} \\0"}
    assert row["state_details"]["a"] == {"b": nul}
    assert row["message"].startswith(f"died of {nul} and ")
