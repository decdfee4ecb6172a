"""What every written state does to its run, whatever the rules said (CONTRACT §2.3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from headway.core.ids import new_id
from headway.core.rules.facts import Facts, LimitKind, Record, Run, Slot, TaskRun
from headway.core.states import OCCUPYING, State, StateType

__all__ = ["LEASE", "enter", "slots_after"]

LEASE = "deployment_concurrency_lease_id"

R = TypeVar("R", bound=Record)
_TICK = timedelta(microseconds=1)
_KINDS: tuple[LimitKind, ...] = ("pool", "queue", "deployment")


def enter(run: R, proposed: State) -> tuple[R, State]:
    """The run after it has entered `proposed`, and the state as it is written.

    Pure bookkeeping: times, counters, the unique timestamp and the ids in the details. It never refuses.
    """
    state = _stamped(run, proposed)
    run = _count_time(run, state)
    run = _schedule(run, state)
    run = _start_and_end(run, state)
    run = _count_runs(run, state)
    return replace(run, state=state), state


def _stamped(run: Record, proposed: State) -> State:
    timestamp = proposed.timestamp
    if run.state is not None and timestamp <= run.state.timestamp:
        timestamp = run.state.timestamp + _TICK
    state = replace(proposed, timestamp=timestamp)
    if isinstance(run, Run):
        return state.with_details(flow_run_id=run.id, task_run_id=run.parent_task_run_id)
    if isinstance(run, TaskRun):
        return state.with_details(task_run_id=run.id, flow_run_id=run.flow_run_id)
    return state


def _count_time(run: R, state: State) -> R:
    if run.state is None or not run.state.is_running:
        return run
    spent = (state.timestamp - run.state.timestamp).total_seconds()
    return replace(run, total_run_time=run.total_run_time + spent)


def _schedule(run: R, state: State) -> R:
    due = state.scheduled_time or state.timestamp if state.is_scheduled else None
    expected = run.expected_start_time or due or state.timestamp
    return replace(run, next_scheduled_start_time=due, expected_start_time=expected)


def _start_and_end(run: R, state: State) -> R:
    if state.is_final:
        return replace(run, end_time=state.timestamp, start_time=run.start_time or state.timestamp)
    start = run.start_time or (state.timestamp if state.is_running else None)
    return replace(run, end_time=None, start_time=start)


def _count_runs(run: R, state: State) -> R:
    if state.is_running and not run.policy.resuming:
        run = replace(run, run_count=run.run_count + 1)
    if run.policy.resuming and (state.is_running or state.is_final):
        run = replace(run, policy=replace(run.policy, resuming=False))
    return run


def slots_after(before: Facts, after: Facts) -> tuple[Slot, ...]:
    """The slots a run holds once it is in its new state (CONTRACT §2.1 rule 17, DESIGN §3 Leases).

    PENDING, RUNNING and CANCELLING hold one slot per limit; so does an in-process retry, whose process is
    alive. Otherwise only the deployment's slot stays, as long as the attempt's lease.
    """
    run, attempt = after.run, after.live_attempt
    if run.root_id is not None:  # an inline subflow runs in its root's place
        return ()
    number = None if attempt is None else attempt.number
    if run.type in OCCUPYING or (run.type is StateType.SCHEDULED and run.policy.in_process):
        found = (_kept_or_new(kind, before, run) for kind in _KINDS)
        return tuple(replace(slot, attempt=number) for slot in found if slot is not None)
    if number is not None:
        return tuple(slot for slot in before.slots if slot.kind == "deployment")
    return ()


def _kept_or_new(kind: LimitKind, before: Facts, run: Run) -> Slot | None:
    held = next((slot for slot in before.slots if slot.kind == kind), None)
    if held is not None:
        return held
    limit_id = {"pool": run.work_pool_id, "queue": run.work_queue_id, "deployment": run.deployment_id}[kind]
    if limit_id is None:
        return None
    lease_id = run.state.details.get(LEASE) if run.state is not None and kind == "deployment" else None
    return Slot(kind, limit_id, UUID(lease_id) if lease_id else new_id())
