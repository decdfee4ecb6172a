"""What the end of an attempt makes of its run (DESIGN §3), by table."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from headway.core import states
from headway.core.errors import FencedError, NotFound
from headway.core.rules.commands import Decision, EndAttempt, Ending
from headway.core.rules.decide import absorb, decide
from headway.core.rules.facts import Policy, World
from headway.core.states import State

from .factories import NOW, TERMS, claimed, run_in, state, world_of

RETRY = Policy(retries=1, retry_delay=10)
IN_PROCESS = Policy(retries=3, retry_type="in_process")
SUSPENDED = state("PAUSED", details={"pause_reschedule": True})
LONG_CANCELLING = replace(state("CANCELLING"), timestamp=NOW - timedelta(seconds=TERMS.cancel_timeout + 1))
E = Ending


def end(world: World, event: Ending, **more: Any) -> Decision:
    run_id = next(iter(world.runs))
    command = EndAttempt(run_id, more.pop("number", 1), event, **{"token": "secret", **more})
    decision = decide(command, world, NOW, TERMS)
    absorb(world, decision)
    return decision


CASES: list[tuple[str, State, dict[str, Any], dict[str, Any], Ending, list[str]]] = [
    ("dies while running", state("RUNNING"), {}, {"nonce": "n"}, E.ENDED, ["Crashed"]),
    ("dies before running", state("PENDING"), {}, {"reported": NOW}, E.ENDED, ["Crashed"]),
    ("dies in a blocking pause", state("PAUSED"), {}, {"nonce": "n"}, E.ENDED, ["Crashed"]),
    ("retries", state("RUNNING"), {"policy": RETRY}, {"nonce": "n"}, E.ENDED, ["Crashed", "AwaitingRetry"]),
    ("used up", state("RUNNING"), {"policy": RETRY, "retries_used": 1}, {"nonce": "n"}, E.ENDED, ["Crashed"]),
    (
        "retries exclude crashes",
        state("RUNNING"),
        {"policy": replace(RETRY, retry_on_crash=False)},
        {"nonce": "n"},
        E.ENDED,
        ["Crashed"],
    ),
    (
        "nobody could start it again",
        state("RUNNING"),
        {"policy": RETRY, "deployment_id": None},
        {"nonce": "n"},
        E.ENDED,
        ["Crashed"],
    ),
    (
        "dies while it waits for an in-process retry",
        state("SCHEDULED", name="AwaitingRetry"),
        {"policy": IN_PROCESS},
        {"nonce": "n"},
        E.ENDED,
        ["Crashed", "AwaitingRetry"],
    ),
    ("was cancelled", state("CANCELLING"), {"policy": RETRY}, {"nonce": "n"}, E.ENDED, ["Cancelled"]),
    ("was lost while cancelling", state("CANCELLING"), {}, {"nonce": "n"}, E.LOST, ["Cancelled"]),
    ("could not be stopped", LONG_CANCELLING, {}, {"handle": {"pid": 7}}, E.LOST, ["Cancelled"]),
    ("had finished", state("COMPLETED"), {"policy": RETRY}, {"nonce": "n"}, E.ENDED, []),
    ("had been restarted", state("SCHEDULED"), {}, {"nonce": "n"}, E.ENDED, []),
    ("had been suspended", SUSPENDED, {}, {"nonce": "n"}, E.ENDED, []),
    ("was lost", state("RUNNING"), {"policy": RETRY}, {"nonce": "n"}, E.LOST, ["Crashed", "AwaitingRetry"]),
    ("was never touched", state("PENDING"), {}, {}, E.LOST, ["Scheduled"]),
    ("was started and lost", state("PENDING"), {}, {"reported": NOW}, E.LOST, ["Crashed"]),
    ("was released", state("PENDING"), {}, {}, E.RELEASED, ["Scheduled"]),
    ("could not start", state("PENDING"), {}, {}, E.START_FAILED, ["AwaitingRetry"]),
    (
        "could not start again",
        state("PENDING"),
        {"start_failures": 2, "policy": RETRY},
        {},
        E.START_FAILED,
        ["Crashed"],
    ),
]


@pytest.mark.parametrize(
    ("current", "run", "attempt", "event", "written"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_an_attempt_that_ended_leaves_its_run_as_the_design_says(
    current: State, run: dict[str, Any], attempt: dict[str, Any], event: Ending, written: list[str]
) -> None:
    made = run_in(current, **run)
    world = world_of(made, claimed(made, **attempt))
    decision = end(world, event)
    assert [one.name for one in decision.written] == written
    ended = world.attempts[made.id]
    assert ended.ended == NOW
    assert not ended.alive
    assert decision.retry_scheduled == (bool(written) and written[-1] == "AwaitingRetry")
    assert not world.slots[made.id]


def test_a_crash_that_is_retried_is_never_seen_as_final() -> None:
    run = run_in(state("RUNNING"), policy=RETRY)
    decision = end(world_of(run, claimed(run, nonce="n")), E.ENDED, outcome={"signal": 9})
    assert decision.after is not None
    after = decision.after.run
    assert after.state is not None
    assert (after.end_time, after.retries_used, after.policy.retry_type) == (None, 1, "reschedule")
    assert after.state.scheduled_time == NOW + timedelta(seconds=10)
    assert (
        decision.written[0].message
        == "Attempt 1: its process was killed by signal 9 (SIGKILL) before the run reached a final state."
    )


def test_failures_and_crashes_share_one_budget() -> None:
    run = run_in(state("RUNNING"), policy=Policy(retries=2), retries_used=1)
    world = world_of(run, claimed(run, nonce="n"))
    assert end(world, E.ENDED).retry_scheduled
    assert world.runs[run.id].retries_used == 2


@pytest.mark.parametrize(("failures", "seconds"), [(0, 5), (1, 10)])
def test_failures_to_start_back_off_and_use_no_retry(failures: int, seconds: int) -> None:
    run = run_in(state("PENDING"), start_failures=failures, policy=RETRY)
    world = world_of(run, claimed(run))
    decision = end(world, E.START_FAILED, outcome={"reason": "no image"})
    assert decision.state is not None
    assert decision.state.scheduled_time == NOW + timedelta(seconds=seconds)
    assert (world.runs[run.id].retries_used, world.attempts[run.id].counts) == (0, False)


def test_a_wrong_configuration_is_given_up_at_once() -> None:
    run = run_in(state("PENDING"), policy=RETRY)
    decision = end(world_of(run, claimed(run)), E.START_FAILED, retryable=False, outcome={"message": "bad image"})
    assert [(one.name, one.message) for one in decision.written] == [("Crashed", "bad image")]


def test_a_released_run_keeps_its_due_time_and_does_not_count() -> None:
    due = NOW - timedelta(minutes=7)
    run = run_in(state("PENDING", details={"scheduled_time": due}))
    world = world_of(run, claimed(run))
    decision = end(world, E.RELEASED)
    assert decision.state is not None
    assert decision.state.scheduled_time == due
    assert world.attempts[run.id].counts is False


def test_a_report_of_the_start_keeps_the_handle_and_renews_the_lease() -> None:
    run = run_in(state("PENDING"))
    world = world_of(run, claimed(run))
    end(world, E.STARTED, handle={"pid": 7}, infrastructure_pid="7")
    attempt = world.attempts[run.id]
    assert (attempt.handle, attempt.reported, attempt.alive) == ({"pid": 7}, NOW, True)
    assert attempt.lease_end == NOW + timedelta(seconds=TERMS.lease_ttl)
    assert world.runs[run.id].infrastructure_pid == "7"


def test_reports_about_the_past_change_nothing() -> None:
    run = run_in(state("RUNNING"))
    world = world_of(run, claimed(run, number=2, nonce="n"))
    assert not end(world, E.ENDED, number=1).written
    with pytest.raises(NotFound):
        end(world, E.ENDED, number=3)
    with pytest.raises(FencedError):
        end(world, E.ENDED, number=2, token="guessed")
    end(world, E.ENDED, number=2)
    assert not end(world, E.ENDED, number=2).written


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ({"exit_code": 3}, "exited with code 3"),
        ({"signal": 15}, "killed by signal 15 (SIGTERM)"),
        ({"signal": 9, "reason": "OOM"}, "killed by signal 9 (SIGKILL) (OOM)"),
        ({"signal": 99}, "killed by signal 99"),
        ({"reason": "evicted"}, "ended (evicted)"),
        ({"message": "as I say"}, "as I say"),
    ],
)
def test_the_message_says_how_the_process_ended(outcome: dict[str, Any], words: str) -> None:
    run = run_in(state("RUNNING"))
    message = end(world_of(run, claimed(run, nonce="n")), E.ENDED, outcome=outcome).written[0].message
    assert message is not None
    assert words in message


def test_a_lost_attempt_names_its_worker() -> None:
    run = run_in(states.Running())
    message = end(world_of(run, claimed(run, nonce="n")), E.LOST, token=None).written[0].message
    assert message == "Attempt 1 was lost: nothing was heard from worker 'w1' and its process until its lease ran out."


def test_a_cancelled_run_whose_worker_is_dead_says_what_may_still_run_and_keeps_its_attempt() -> None:
    run = replace(run_in(state("CANCELLING")), infrastructure_pid="host:7")
    decision = end(world_of(run, claimed(run, nonce="n", handle={"pid": 7})), E.LOST, token=None)
    assert decision.written[0].message == ("Nothing is heard from worker 'w1'; infrastructure may still run: host:7")
    assert decision.attempt is not None
    assert decision.attempt.alive
