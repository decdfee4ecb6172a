"""CONTRACT §2.3: what every state does to its run, and the properties that always hold."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core import states
from headway.core.ids import new_id
from headway.core.rules.commands import Propose, Status
from headway.core.rules.decide import absorb, decide
from headway.core.rules.facts import Policy, Run, TaskRun
from headway.core.rules.transforms import enter
from headway.core.states import OCCUPYING, State, StateType

from .factories import DEPLOYMENT, NOW, TERMS, limit, run_in, state, world_of

SECOND = timedelta(seconds=1)


def at(made: State, seconds: float) -> State:
    return replace(made, timestamp=NOW + seconds * SECOND)


def test_a_life_sets_times_and_counts() -> None:
    run = Run(new_id())
    run, _ = enter(run, at(states.Scheduled(NOW - SECOND), 0))
    assert (run.expected_start_time, run.next_scheduled_start_time) == (NOW - SECOND, NOW - SECOND)
    run, _ = enter(run, at(states.Pending(), 1))
    assert (run.next_scheduled_start_time, run.start_time) == (None, None)
    run, _ = enter(run, at(states.Running(), 2))
    run, _ = enter(run, at(states.Paused(), 5))
    assert (run.start_time, run.total_run_time, run.run_count) == (NOW + 2 * SECOND, 3, 1)
    run, _ = enter(replace(run, policy=replace(run.policy, resuming=True)), at(states.Running(), 9))
    assert (run.run_count, run.policy.resuming) == (1, False)
    run, _ = enter(run, at(states.Completed(), 10))
    assert (run.end_time, run.total_run_time, run.expected_start_time) == (NOW + 10 * SECOND, 4, NOW - SECOND)
    run, _ = enter(run, at(states.Running(), 12))
    assert (run.end_time, run.start_time, run.run_count) == (None, NOW + 2 * SECOND, 2)


def test_a_run_that_never_ran_starts_when_it_ends() -> None:
    run, _ = enter(Run(new_id()), at(states.Cancelled(), 3))
    assert run.start_time == run.end_time == NOW + 3 * SECOND


def test_timestamps_of_one_run_never_collide() -> None:
    run, first = enter(Run(new_id()), at(states.Pending(), 0))
    run, second = enter(run, at(states.Running(), 0))
    _, third = enter(run, at(states.Completed(), -5))
    assert first.timestamp < second.timestamp < third.timestamp


def test_details_name_the_run() -> None:
    run, task = Run(new_id()), TaskRun(new_id(), flow_run_id=new_id())
    assert enter(run, states.Pending())[1].details["flow_run_id"] == str(run.id)
    assert enter(task, states.Pending())[1].details["task_run_id"] == str(task.id)


def test_policies_survive_the_way_to_the_wire_and_back() -> None:
    wire = {"retries": 2, "retry_delay": 5, "pause_keys": ["b", "a"], "max_retries": 0, "retry_on_crash": False}
    policy = Policy.of(wire)
    assert Policy.of(policy.to_wire()) == policy
    assert policy.to_wire()["max_retries"] == 0
    assert policy.to_wire()["pause_keys"] == ["a", "b"]


_proposals = st.lists(
    st.tuples(
        st.sampled_from([*StateType]),
        st.sampled_from([None, "Late", "Suspended"]),
        st.booleans(),
        st.integers(0, 3),
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(proposals=_proposals, retries=st.integers(0, 2))
def test_whatever_is_proposed_the_invariants_hold(
    proposals: list[tuple[StateType, str | None, bool, int]], retries: int
) -> None:
    run = run_in(state("SCHEDULED"), policy=Policy(retries=retries))
    world = world_of(run, d=limit("deployment", 0, 1))
    now, timestamp, count = NOW, run.state.timestamp if run.state else NOW, 0
    for type, name, force, seconds in proposals:
        now += seconds * SECOND
        details = {"pause_reschedule": True} if name == "Suspended" else {}
        proposed = State(type, name or states.default_name(type)).with_details(**details)
        decision = decide(Propose(run.id, proposed, force=force), world, now, TERMS)
        absorb(world, decision)
        after = world.runs[run.id]
        assert after.state is not None
        assert after.state.is_final == (after.end_time is not None)
        assert after.run_count >= count
        assert (after.next_scheduled_start_time is not None) == after.state.is_scheduled
        assert after.total_run_time >= 0
        assert after.retries_used <= retries
        holds = bool(world.slots[run.id])
        assert holds == (after.state.type in OCCUPYING or (after.state.is_scheduled and after.policy.in_process))
        assert world.limits[DEPLOYMENT].used == int(holds)
        assert (after.state.timestamp > timestamp) == bool(decision.written)
        if decision.status in (Status.WAIT, Status.ABORT):
            assert not decision.written
        timestamp, count = after.state.timestamp, after.run_count


@pytest.mark.parametrize("type", [*StateType])
def test_every_type_can_be_a_first_state(type: StateType) -> None:
    run, written = enter(Run(new_id()), State(type, states.default_name(type)))
    assert run.state == written
    assert run.expected_start_time is not None
