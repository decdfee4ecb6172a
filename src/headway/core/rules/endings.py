"""What the end of an attempt means for its run (DESIGN §3: crash retry, released claims, failures to start)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from signal import Signals
from typing import Any

from headway.core import states
from headway.core.copying import replace
from headway.core.rules.commands import EndAttempt, Ending
from headway.core.rules.facts import Attempt, Run, Terms
from headway.core.states import State

__all__ = ["Fate", "crash", "describe", "fate", "may_still_run"]


@dataclass(frozen=True, slots=True)
class Fate:
    """States to write in order, the run's counters and policy after them, and whether the attempt counts."""

    run: Run
    written: tuple[State, ...] = ()
    counts: bool = True
    retry_scheduled: bool = False


def fate(command: EndAttempt, run: Run, attempt: Attempt, now: datetime, terms: Terms) -> Fate:
    """What becomes of `run` when its live `attempt` ends the way `command` says."""
    state = run.state
    if state is None or not _depends_on_process(run):
        return Fate(run)
    message = describe(command, attempt)
    if state.is_cancelling:
        return Fate(run, (states.Cancelled(message),))
    never_started = command.event is Ending.RELEASED or (command.event is Ending.LOST and not attempt.touched)
    if state.is_pending and never_started:
        return Fate(run, (states.Scheduled(state.scheduled_time or now, message=message),), counts=False)
    if state.is_pending and command.event is Ending.START_FAILED:
        return _start_failed(command, run, message, now, terms)
    return crash(run, message, now)


def may_still_run(run: Run, attempt: Attempt, now: datetime, terms: Terms) -> bool:
    """Whether nobody can say that a run that is CANCELLING has stopped: its worker is dead, and what it started is
    known. After `cancel_timeout` nobody waits for that any more."""
    state = run.state
    if state is None or not state.is_cancelling or attempt.handle is None:
        return False
    return now < state.timestamp + timedelta(seconds=terms.cancel_timeout)


def _depends_on_process(run: Run) -> bool:
    state = run.state
    if state is None or state.is_final:
        return False
    if state.is_scheduled:  # rescheduled, restarted or resumed: it waits for another process
        return run.policy.in_process
    return not (state.is_paused and state.details.get("pause_reschedule"))


def crash(run: Run, message: str, now: datetime) -> Fate:
    """CRASHED; with retries left also AwaitingRetry, so that nobody sees a final state that is not final."""
    crashed = states.Crashed(message)
    retries = run.policy.retries or 0
    if run.retries_used >= retries or not run.policy.retry_on_crash or run.deployment_id is None:
        return Fate(run, (crashed,))
    at = now + timedelta(seconds=run.policy.retry_delay or 0)
    used = run.retries_used + 1
    policy = replace(run.policy, retry_type="reschedule", pause_keys=frozenset(), resuming=False)
    retry = states.AwaitingRetry(at, message=f"Crashed, retry {used} of {retries}. {message}")
    return Fate(replace(run, policy=policy, retries_used=used), (crashed, retry), retry_scheduled=True)


def _start_failed(command: EndAttempt, run: Run, message: str, now: datetime, terms: Terms) -> Fate:
    """Failures to start have a cap of their own, with back-off; a wrong configuration is not tried again."""
    failures = run.start_failures + 1
    run = replace(run, start_failures=failures)
    if not command.retryable or failures >= terms.start_failures_max:
        return Fate(run, (states.Crashed(message),), counts=False)
    at = now + timedelta(seconds=terms.start_backoff * 2 ** (failures - 1))
    words = f"Could not be started ({failures} of {terms.start_failures_max} tries). {message}"
    run = replace(run, policy=replace(run.policy, retry_type="reschedule"))
    return Fate(run, (states.AwaitingRetry(at, message=words),), counts=False, retry_scheduled=True)


def describe(command: EndAttempt, attempt: Attempt) -> str:
    """One sentence about how the attempt ended."""
    outcome = command.outcome
    if outcome.get("message"):
        return str(outcome["message"])
    number = f"Attempt {command.number}"
    if command.event is Ending.RELEASED:
        return f"{number} was given back before it started."
    if command.event is Ending.LOST:
        worker = f" worker '{attempt.worker_name}' and" if attempt.worker_name else ""
        kept = "was never started" if not attempt.touched else "was lost"
        return f"{number} {kept}: nothing was heard from{worker} its process until its lease ran out."
    if command.event is Ending.START_FAILED:
        return f"{number} could not be started: {outcome.get('reason') or 'no reason given'}."
    return f"{number}: its process {_how_it_ended(outcome)} before the run reached a final state."


def _how_it_ended(outcome: Mapping[str, Any]) -> str:
    reason = f" ({outcome['reason']})" if outcome.get("reason") else ""
    if outcome.get("signal"):
        return f"was killed by signal {_signal_name(int(outcome['signal']))}{reason}"
    if outcome.get("exit_code") is not None:
        return f"exited with code {outcome['exit_code']}{reason}"
    return f"ended{reason}"


def _signal_name(number: int) -> str:
    try:
        return f"{number} ({Signals(number).name})"
    except ValueError:
        return str(number)
