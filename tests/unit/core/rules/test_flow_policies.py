"""Each rule of CONTRACT §2.1, by table: what is proposed from where, and what comes of it."""
# ruff: noqa: E501 - a table is read by the line

from datetime import timedelta
from typing import Any

import pytest

from headway.core import states
from headway.core.rules.facts import Policy
from headway.core.rules.transforms import LEASE
from headway.core.states import State, StateType

from .factories import DEPLOYMENT, NOW, attempt_of, limit, propose, run_in, state, world_of

KEPT = {"type": "reference", "path": "somewhere"}
LOST = {"type": "unpersisted"}
SOON = NOW + timedelta(seconds=30, milliseconds=1)

# rule, current state, run, proposed state, force, expected status, state type afterwards, its name
CASES: list[tuple[str, State | None, dict[str, Any], State, bool, str, str | None, str | None]] = [
    ("3: final to cancelling", state("FAILED"), {}, state("CANCELLING"), False, "ABORT", "FAILED", None),
    ("3: final to paused", state("FAILED"), {}, state("PAUSED"), False, "ABORT", "FAILED", None),
    ("3: final to crashed", state("COMPLETED"), {}, state("CRASHED"), False, "ABORT", "COMPLETED", None),
    ("3: kept result restarts", state("COMPLETED", data=KEPT), {}, state("RUNNING"), False, "REJECT", "COMPLETED", None),
    ("3: lost result restarts", state("COMPLETED", data=LOST), {}, state("RUNNING"), False, "ACCEPT", "RUNNING", None),
    ("3: drop a kept result", state("COMPLETED", data=KEPT), {}, state("COMPLETED"), False, "REJECT", "COMPLETED", None),
    ("3: even forced", state("COMPLETED", data=KEPT), {}, state("COMPLETED"), True, "REJECT", "COMPLETED", None),
    ("3: replace a result", state("COMPLETED", data=KEPT), {}, state("COMPLETED", data=KEPT), False, "ACCEPT", "COMPLETED", None),
    ("3: restart", state("FAILED"), {}, state("SCHEDULED"), False, "ACCEPT", "SCHEDULED", None),
    ("3: without deployment", state("FAILED"), {"deployment_id": None}, state("SCHEDULED"), False, "ABORT", "FAILED", None),
    ("4: cancelling to running", state("CANCELLING"), {}, state("RUNNING"), False, "REJECT", "CANCELLING", None),
    ("4: cancelling to completed", state("CANCELLING"), {}, state("COMPLETED"), False, "REJECT", "CANCELLING", None),
    ("4: cancelling to cancelled", state("CANCELLING"), {}, state("CANCELLED"), False, "ACCEPT", "CANCELLED", None),
    ("5: scheduled", state("SCHEDULED"), {}, state("CANCELLING"), False, "REJECT", "CANCELLED", None),
    ("5: has infrastructure", state("SCHEDULED"), {"infrastructure_pid": "x"}, state("CANCELLING"), False, "ACCEPT", "CANCELLING", None),
    ("5: resuming", state("SCHEDULED", name="Resuming"), {"infrastructure_pid": "x"}, state("CANCELLING"), False, "REJECT", "CANCELLED", None),
    ("5: suspended", state("PAUSED", details={"pause_reschedule": True}), {}, state("CANCELLING"), False, "REJECT", "CANCELLED", None),
    ("5: paused", state("PAUSED"), {}, state("CANCELLING"), False, "ACCEPT", "CANCELLING", None),
    ("5: even forced", state("SCHEDULED"), {}, state("CANCELLING"), True, "REJECT", "CANCELLED", None),
    ("6: second owner", state("PENDING"), {}, state("PENDING"), False, "ABORT", "PENDING", "Pending"),
    ("6: running", state("RUNNING"), {}, state("PENDING"), False, "ABORT", "RUNNING", None),
    ("6: cancelling", state("CANCELLING"), {}, state("PENDING"), False, "REJECT", "CANCELLING", None),
    ("6: cancelled", state("CANCELLED"), {}, state("PENDING"), False, "ABORT", "CANCELLED", None),
    ("6: submitting", state("PENDING"), {}, state("PENDING", name="Submitting"), False, "ACCEPT", "PENDING", "Submitting"),
    ("6: back to pending", state("PENDING", name="Submitting"), {}, state("PENDING"), False, "ABORT", "PENDING", "Submitting"),
    ("10: late", state("SCHEDULED"), {}, state("SCHEDULED", name="Late"), False, "ACCEPT", "SCHEDULED", "Late"),
    ("10: late twice", state("SCHEDULED", name="Late"), {}, state("SCHEDULED", name="Late"), False, "REJECT", "SCHEDULED", "Late"),
    ("10: late while pending", state("PENDING"), {}, state("SCHEDULED", name="Late"), False, "REJECT", "PENDING", None),
    ("11: pause", state("RUNNING"), {}, state("PAUSED"), False, "ACCEPT", "PAUSED", None),
    ("11: pause what waits", state("SCHEDULED"), {}, state("PAUSED"), False, "REJECT", "SCHEDULED", None),
    ("11: pause nothing", None, {}, state("PAUSED"), False, "ABORT", None, None),
    ("11: suspend", state("RUNNING"), {}, states.Suspended(), False, "ACCEPT", "PAUSED", "Suspended"),
    ("11: suspend alone", state("RUNNING"), {"deployment_id": None}, states.Suspended(), False, "ABORT", "RUNNING", None),
    ("11: suspend a subflow", state("RUNNING"), {"parent_task_run_id": DEPLOYMENT}, states.Suspended(), False, "ABORT", "RUNNING", None),
    ("11: same key", state("RUNNING"), {"policy": Policy(pause_keys=frozenset({"k"}))}, states.Paused(pause_key="k"), False, "REJECT", "RUNNING", None),
    ("12: resume", state("PAUSED"), {}, state("RUNNING"), False, "ACCEPT", "RUNNING", None),
    ("12: resume a suspended one", state("PAUSED", details={"pause_reschedule": True}), {}, state("SCHEDULED"), False, "ACCEPT", "SCHEDULED", None),
    ("12: paused to pending", state("PAUSED"), {}, state("PENDING"), False, "REJECT", "PAUSED", None),
    ("12: suspended without deployment", state("PAUSED", details={"pause_reschedule": True}), {"deployment_id": None}, state("SCHEDULED"), False, "REJECT", "PAUSED", None),
    ("12: too late", state("PAUSED", details={"pause_timeout": NOW - timedelta(1)}), {}, state("RUNNING"), False, "REJECT", "FAILED", None),
    ("12: cancel too late", state("PAUSED", details={"pause_timeout": NOW - timedelta(1)}), {}, state("CANCELLING"), False, "ACCEPT", "CANCELLING", None),
    ("14: not due", state("SCHEDULED", details={"scheduled_time": SOON}), {}, state("RUNNING"), False, "WAIT", "SCHEDULED", None),
    ("14: due", state("SCHEDULED"), {}, state("RUNNING"), False, "ACCEPT", "RUNNING", None),
    ("14: pending, not due", state("PENDING", details={"scheduled_time": SOON}), {}, state("RUNNING"), False, "WAIT", "PENDING", None),
    ("14: forced", state("SCHEDULED", details={"scheduled_time": SOON}), {}, state("RUNNING"), True, "ACCEPT", "RUNNING", None),
    ("15: no retries", state("RUNNING"), {}, state("FAILED"), False, "ACCEPT", "FAILED", None),
    ("15: retries", state("RUNNING"), {"policy": Policy(retries=1)}, state("FAILED"), False, "REJECT", "SCHEDULED", "AwaitingRetry"),
    ("15: used up", state("RUNNING"), {"policy": Policy(retries=1), "retries_used": 1}, state("FAILED"), False, "ACCEPT", "FAILED", None),
    ("15: forced", state("RUNNING"), {"policy": Policy(retries=1)}, state("FAILED"), True, "ACCEPT", "FAILED", None),
    ("forced out of cancelling", state("CANCELLING"), {}, state("CANCELLED"), True, "ACCEPT", "CANCELLED", None),
    ("ordinary: to pending", state("SCHEDULED"), {}, state("PENDING"), False, "ACCEPT", "PENDING", None),
    ("ordinary: to running", state("PENDING"), {}, state("RUNNING"), False, "ACCEPT", "RUNNING", None),
    ("ordinary: to completed", state("RUNNING"), {}, state("COMPLETED"), False, "ACCEPT", "COMPLETED", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("current", "run", "proposed", "force", "status", "after", "name"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_a_transition_ends_as_the_contract_says(
    current: State | None, run: dict[str, Any], proposed: State, force: bool, status: str, after: str, name: str
) -> None:
    made = run_in(current, **run)
    decision = propose(world_of(made), made, proposed, force=force)
    assert decision.status == status
    assert (decision.state.type if decision.state else None) == after
    if name:
        assert decision.state is not None
        assert decision.state.name == name
    if status in ("WAIT", "ABORT"):
        assert not decision.written
        assert decision.reason


def test_the_lease_id_of_the_old_state_is_carried_on_when_the_new_one_has_none() -> None:
    run = run_in(state("PENDING", details={LEASE: DEPLOYMENT}))
    decision = propose(world_of(run), run, state("RUNNING"))
    assert decision.state is not None
    assert decision.state.details[LEASE] == str(DEPLOYMENT)


def test_the_same_transition_id_again_writes_nothing() -> None:
    run = run_in(state("RUNNING", details={"transition_id": DEPLOYMENT}))
    decision = propose(world_of(run), run, state("COMPLETED", details={"transition_id": DEPLOYMENT}))
    assert (decision.status, decision.written) == ("REJECT", ())


def test_a_restart_begins_with_a_clean_slate() -> None:
    policy = Policy(resuming=True, pause_keys=frozenset({"k"}), retry_type="in_process")
    run = run_in(state("FAILED"), policy=policy, retries_used=2)
    after = propose(world_of(run), run, state("SCHEDULED")).after
    assert after is not None
    assert after.run.policy == Policy(retry_type="reschedule")
    assert after.run.retries_used == 0


def test_wait_counts_whole_seconds_rounded_up() -> None:
    run = run_in(state("SCHEDULED", details={"scheduled_time": SOON}))
    assert propose(world_of(run), run, state("RUNNING")).delay == 31


@pytest.mark.parametrize(
    ("full", "words"),
    [
        (limit("pool", 5, 5, name="big"), "Work pool 'big' is at its concurrency limit: 5 of 5."),
        (limit("queue", 1, 1, name="q"), "Work queue 'q' is at its concurrency limit: 1 of 1."),
    ],
)
def test_pending_over_a_pool_or_queue_limit_is_aborted_with_the_reason(full: Any, words: str) -> None:
    run = run_in(state("SCHEDULED"))
    decision = propose(world_of(run, full=full), run, state("PENDING"))
    assert (decision.status, decision.reason) == ("ABORT", words)
    assert decision.state == run.state


def test_a_deployment_slot_shows_its_lease_in_the_state_and_is_freed_at_the_end() -> None:
    run = run_in(state("SCHEDULED"))
    world = world_of(run, d=limit("deployment", 0, 1))
    pending = propose(world, run, state("PENDING"))
    assert pending.state is not None
    assert world.limits[DEPLOYMENT].used == 1
    lease = next(slot for slot in world.slots[run.id] if slot.kind == "deployment").lease_id
    assert pending.state.details[LEASE] == str(lease)
    propose(world, run, state("RUNNING"))
    assert world.limits[DEPLOYMENT].used == 1
    propose(world, run, state("COMPLETED"))
    assert world.limits[DEPLOYMENT].used == 0


@pytest.mark.parametrize(
    ("of", "cancel_new", "status", "after", "name"),
    [
        (0, False, "ABORT", "SCHEDULED", "Scheduled"),
        (1, False, "REJECT", "SCHEDULED", "AwaitingConcurrencySlot"),
        (1, True, "REJECT", "CANCELLED", "Cancelled"),
        (None, True, "ACCEPT", "PENDING", "Pending"),
    ],
)
def test_a_full_deployment_queues_or_cancels(of: Any, cancel_new: bool, status: str, after: str, name: str) -> None:
    run = run_in(state("SCHEDULED"))
    world = world_of(run, d=limit("deployment", of or 0, of, cancel_new=cancel_new))
    decision = propose(world, run, state("PENDING"))
    assert decision.state is not None
    assert (decision.status, decision.state.type, decision.state.name) == (status, after, name)
    counted = of or 0 if of is None or status != "ACCEPT" else 1  # what has no limit is not counted
    assert world.limits[DEPLOYMENT].used == counted


def test_pending_of_a_deleted_deployment_is_aborted() -> None:
    run = run_in(state("SCHEDULED"))
    world = world_of(run)
    world.deployments.clear()
    assert propose(world, run, state("PENDING")).status == "ABORT"


@pytest.mark.parametrize(
    ("used", "renews", "after"), [(0, True, "RUNNING"), (1, True, "CANCELLED"), (1, False, "RUNNING")]
)
def test_a_slot_lost_before_running_is_taken_anew_or_the_run_is_cancelled(used: int, renews: bool, after: str) -> None:
    run = run_in(state("PENDING"))
    world = world_of(run, d=limit("deployment", used, 1))
    world.slots[run.id] = ()
    decision = propose(world, run, state("RUNNING"), renews_leases=renews)
    assert decision.state is not None
    assert decision.state.type == after


def test_a_failure_with_retries_left_keeps_slots_data_and_message() -> None:
    run = run_in(state("RUNNING"), policy=Policy(retries=2, retry_delay=10, pause_keys=frozenset({"k"})))
    world = world_of(run, d=limit("deployment", 1, 1))
    decision = propose(world, run, state("FAILED", message="boom", data=KEPT))
    after = decision.after
    assert after is not None
    assert after.run.state is not None
    assert (after.run.state.message, after.run.state.data) == ("boom", KEPT)
    assert after.run.state.scheduled_time == NOW + timedelta(seconds=10)
    assert after.run.policy.in_process
    assert not after.run.policy.pause_keys
    assert world.limits[DEPLOYMENT].used == 1


def test_pausing_remembers_its_key_and_drops_the_old_answer() -> None:
    run = run_in(state("RUNNING"))
    pause = states.Paused(pause_key="k", run_input_keyset={"response": "k-response", "schema": "k-schema"})
    decision = propose(world_of(run), run, pause)
    assert decision.after is not None
    assert decision.after.run.policy.pause_keys == {"k"}
    assert decision.dropped_inputs == ("k-response",)


def test_resuming_does_not_count_as_another_run() -> None:
    run = run_in(state("PAUSED"), run_count=1)
    after = propose(world_of(run), run, state("RUNNING")).after
    assert after is not None
    assert (after.run.run_count, after.run.policy.resuming) == (1, False)


def test_a_blocking_pause_that_is_rescheduled_starts_over() -> None:
    run = run_in(state("PAUSED"), policy=Policy(pause_keys=frozenset({"k"})))
    after = propose(world_of(run), run, state("SCHEDULED")).after
    assert after is not None
    assert after.run.policy == Policy(retry_type="reschedule")


def test_a_late_run_of_a_full_deployment_that_cancels_new_ones_is_cancelled() -> None:
    run = run_in(state("SCHEDULED"))
    world = world_of(run, d=limit("deployment", 1, 1, cancel_new=True))
    decision = propose(world, run, state("SCHEDULED", name="Late"), late=True)
    assert decision.state is not None
    assert decision.state.type is StateType.CANCELLED


def test_a_run_whose_last_process_has_not_ended_is_not_handed_out_again() -> None:
    run = run_in(state("SCHEDULED", name="AwaitingRetry"))
    decision = propose(world_of(run, attempt_of(run)), run, state("PENDING"))
    assert (decision.status, decision.reason) == ("ABORT", "Attempt 1 of this run has not ended yet.")


def test_a_run_that_is_sent_back_while_it_retried_in_its_process_can_be_claimed() -> None:
    run = run_in(state("RUNNING"), policy=Policy(retries=1, retry_type="in_process"))
    after = propose(world_of(run), run, state("SCHEDULED"), force=True).after
    assert after is not None
    assert (after.run.policy.in_process, after.slots) == (False, ())
