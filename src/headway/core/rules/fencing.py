"""Who may write to a run (DESIGN §3, Fencing).

An attempt belongs to the process whose nonce its first RUNNING bound. From then on a write with another
nonce is refused with 409, a write for an attempt that has ended with 410, and a write without any fence is
an operator's: CANCELLING, forced, or a restart of what is final.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from headway.core.copying import replace
from headway.core.errors import Conflict, FencedError, LeaseLostError
from headway.core.rules.commands import Ending
from headway.core.rules.facts import Attempt, Caller, Facts, Run, Terms
from headway.core.states import State, StateType

__all__ = ["admit", "attempt_after", "check_fence", "check_record"]


def check_fence(attempt: Attempt | None, caller: Caller, what: str = "run") -> None:
    """Refuse a fenced caller that does not own `attempt`, the latest one of the run.

    Raises FencedError (409) when another process owns it, LeaseLostError (410) when its own has ended.
    """
    if attempt is None:
        return
    if caller.number is not None and caller.number < attempt.number:
        raise LeaseLostError(f"Attempt {caller.number} of this {what} has ended; attempt {attempt.number} owns it.")
    own_token = caller.token == attempt.token
    own_nonce = caller.nonce is not None and caller.nonce == attempt.nonce
    if not attempt.alive:
        if (own_token and caller.token is not None) or own_nonce:
            raise LeaseLostError(f"Attempt {attempt.number} of this {what} has ended; its lease was lost.")
        if caller.token is not None and attempt.worker_id is not None:
            raise FencedError(f"The token does not belong to any attempt of this {what}.")
        return
    if attempt.worker_id is not None and not own_token:
        raise FencedError(f"Attempt {attempt.number} of this {what} belongs to another process.")
    if attempt.nonce is not None and not own_nonce:
        raise FencedError(f"Attempt {attempt.number} of this {what} is bound to another process.")


def check_record(attempt: Attempt | None, caller: Caller) -> None:
    """Refuse what a fenced caller tells of a run (logs, events) that `attempt`, the latest one, does not belong to.

    Unlike states, its own process may deliver the last of them after it has ended, unless the attempt was lost.

    Raises FencedError (409), LeaseLostError (410).
    """
    if attempt is None:
        return
    other = attempt.nonce is not None and caller.nonce is not None and caller.nonce != attempt.nonce
    older = caller.number is not None and caller.number < attempt.number
    if other and not older:
        raise FencedError(f"Attempt {attempt.number} of this run is bound to another process.")
    lost = (attempt.outcome or {}).get("event") == Ending.LOST
    own = attempt.worker_id is None or caller.token == attempt.token
    if not attempt.alive and own and not older and not lost:
        return
    check_fence(attempt, caller)


def admit(facts: Facts, state: State, caller: Caller | None, force: bool) -> None:
    """Raise unless `caller` may propose `state`; None is the server itself, and anybody may ask to cancel."""
    if caller is None or state.type is StateType.CANCELLING:
        return
    attempt = facts.attempt
    if caller.fenced:
        check_fence(attempt, caller)
        return
    bound = attempt is not None and attempt.bound
    final = facts.run.state is not None and facts.run.state.is_final
    if bound and not (force or final):
        raise Conflict(
            f"This run is owned by a running process; without its token only CANCELLING, or a forced state, "
            f"is accepted, not {state.type.value}.",
            code="AttemptFenced",
        )


def attempt_after(facts: Facts, run: Run, caller: Caller | None, now: datetime, terms: Terms) -> Attempt | None:
    """The attempt once `run` has entered its state: bound or opened by RUNNING, ended by a lone engine's end."""
    attempt, state = facts.attempt, run.state
    if state is None or caller is None or not caller.fenced or run.root_id is not None:
        return attempt
    if state.is_running and (attempt is None or not attempt.alive):
        attempt = _opened(run, attempt, caller, now, terms)
    if attempt is None or not attempt.alive:
        return attempt
    attempt = replace(attempt, lease_end=now + timedelta(seconds=terms.lease_ttl))
    if state.is_running and attempt.nonce is None:
        attempt = replace(attempt, nonce=caller.nonce, started=attempt.started or now)
    leaves = state.is_final or (state.is_paused and bool(state.details.get("pause_reschedule")))
    if leaves and attempt.worker_id is None:  # nobody else will say that this process has ended
        attempt = replace(attempt, ended=now, outcome={"event": "ended", "reason": "engine finished"})
    return attempt


def _opened(run: Run, last: Attempt | None, caller: Caller, now: datetime, terms: Terms) -> Attempt:
    return Attempt(
        run_id=run.id,
        number=1 if last is None else last.number + 1,
        token=caller.token or secrets.token_hex(16),
        nonce=caller.nonce,
        opened=now,
        started=now,
        lease_end=now + timedelta(seconds=terms.lease_ttl),
    )
