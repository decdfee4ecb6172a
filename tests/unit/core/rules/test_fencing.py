"""Who may write (DESIGN §3, Fencing), by table."""

from typing import Any

import pytest

from headway.core import states
from headway.core.errors import Conflict, FencedError, LeaseLostError
from headway.core.rules.commands import Status
from headway.core.rules.facts import Caller
from headway.core.states import State

from .factories import ENGINE, NOW, TERMS, attempt_of, claimed, propose, run_in, state, world_of

BOUND = {"nonce": "n1"}
ENDED = {"nonce": "n1", "ended": NOW}

# who writes, what is known of the claimed attempt, current state, proposed state, force, error
CASES: list[tuple[str, Caller | None, dict[str, Any], State, State, bool, type[Exception] | None]] = [
    ("the owner", ENGINE, BOUND, state("RUNNING"), states.Completed(), False, None),
    ("the first process binds", ENGINE, {}, state("PENDING"), states.Running(), False, None),
    ("a replaced pod", Caller("secret", "n2", 1), BOUND, state("RUNNING"), states.Running(), False, FencedError),
    ("a wrong token", Caller("guess", "n1", 1), BOUND, state("RUNNING"), states.Completed(), False, FencedError),
    ("no token", Caller(None, "n1"), BOUND, state("RUNNING"), states.Completed(), False, FencedError),
    ("an older attempt", Caller("old", "n0", 0), BOUND, state("RUNNING"), states.Completed(), False, LeaseLostError),
    ("after its end", ENGINE, ENDED, state("CRASHED"), states.Completed(), False, LeaseLostError),
    ("after its end, forced", ENGINE, ENDED, state("CRASHED"), states.Completed(), True, LeaseLostError),
    (
        "a stranger after its end",
        Caller("guess", "n9", 1),
        ENDED,
        state("CRASHED"),
        states.Running(),
        False,
        FencedError,
    ),
    ("an operator cancels", Caller(), BOUND, state("RUNNING"), states.Cancelling(), False, None),
    ("another run's engine cancels", Caller("x", "y", 1), BOUND, state("RUNNING"), states.Cancelling(), False, None),
    ("an operator forces", Caller(), BOUND, state("RUNNING"), states.Cancelled(), True, None),
    ("an operator restarts", Caller(), BOUND, state("FAILED"), states.Scheduled(NOW), False, None),
    ("an operator completes", Caller(), BOUND, state("RUNNING"), states.Completed(), False, Conflict),
    ("a stock engine, unbound", Caller(), {}, state("PENDING"), states.Running(), False, None),
    ("the server itself", None, BOUND, state("RUNNING"), states.Failed(), False, None),
]


@pytest.mark.parametrize(
    ("caller", "attempt", "current", "proposed", "force", "error"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_only_the_owner_and_operators_may_write(
    caller: Caller | None,
    attempt: dict[str, Any],
    current: State,
    proposed: State,
    force: bool,
    error: type[Exception] | None,
) -> None:
    run = run_in(current)
    world = world_of(run, claimed(run, **attempt))
    if error is None:
        assert propose(world, run, proposed, caller=caller, force=force).written
        return
    with pytest.raises(error) as raised:
        propose(world, run, proposed, caller=caller, force=force)
    assert type(raised.value) is error


def test_the_first_running_binds_the_nonce_and_renews_the_lease() -> None:
    run = run_in(state("PENDING"))
    world = world_of(run, claimed(run))
    propose(world, run, states.Running(), caller=ENGINE)
    bound = world.attempts[run.id]
    assert (bound.nonce, bound.started, (bound.lease_end - NOW).total_seconds()) == ("n1", NOW, TERMS.lease_ttl)


def test_an_engine_that_nobody_claimed_opens_the_next_attempt_with_its_own_nonce() -> None:
    run = run_in(state("PENDING"), deployment_id=None, work_pool_id=None, work_queue_id=None)
    world = world_of(run, attempt_of(run, nonce="n0", ended=NOW))
    propose(world, run, states.Running(), caller=Caller(nonce="n1"))
    assert (world.attempts[run.id].number, world.attempts[run.id].nonce) == (2, "n1")


def test_an_unclaimed_engine_ends_its_attempt_with_its_final_state() -> None:
    run = run_in(state("RUNNING"))
    world = world_of(run, attempt_of(run, nonce="n1"))
    propose(world, run, states.Completed(), caller=Caller(nonce="n1"))
    assert world.attempts[run.id].ended == NOW


def test_a_claimed_attempt_lives_until_its_worker_says_that_the_process_has_ended() -> None:
    run = run_in(state("RUNNING"))
    world = world_of(run, claimed(run, nonce="n1"))
    propose(world, run, states.Completed(), caller=ENGINE)
    assert world.attempts[run.id].alive


def test_a_write_that_the_end_of_its_own_run_has_overtaken_starts_nothing() -> None:
    run = run_in(state("CANCELLED"))
    world = world_of(run, claimed(run, nonce="n1", started=NOW))
    decision = propose(world, run, states.Running(), caller=ENGINE)
    assert (decision.status, decision.written) == (Status.ABORT, ())
