"""What every written state does to its run, whatever the rules said (CONTRACT §2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from headway.core.copying import replace
from headway.core.ids import new_id
from headway.core.rules.facts import Facts, LimitKind, Record, Run, Slot, TaskRun
from headway.core.states import OCCUPYING, State, StateType

__all__ = ["LEASE", "enter", "slots_after"]

LEASE = "deployment_concurrency_lease_id"

R = TypeVar("R", bound=Record)
_TICK = timedelta(microseconds=1)
_PLACE: Mapping[LimitKind, str] = {"pool": "work_pool_id", "queue": "work_queue_id", "deployment": "deployment_id"}


def enter(run: R, proposed: State) -> tuple[R, State]:
    """The run after it has entered `proposed`, and the state as it is written.

    Pure bookkeeping: times, counters, the unique timestamp and the ids in the details. It never refuses.
    """
    state = _stamped(run, proposed)
    due = state.scheduled_time or state.timestamp if state.is_scheduled else None
    changes: dict[str, Any] = {
        "state": state,
        "next_scheduled_start_time": due,
        "expected_start_time": run.expected_start_time or due or state.timestamp,
        "end_time": state.timestamp if state.is_final else None,
        "start_time": run.start_time or (state.timestamp if state.is_final or state.is_running else None),
    }
    if run.state is not None and run.state.is_running:
        spent = (state.timestamp - run.state.timestamp).total_seconds()
        changes["total_run_time"] = run.total_run_time + spent
    if run.policy.resuming:
        if state.is_running or state.is_final:
            changes["policy"] = replace(run.policy, resuming=False)
    elif state.is_running:
        changes["run_count"] = run.run_count + 1
    return replace(run, **changes), state


def _stamped(run: Record, proposed: State) -> State:
    """The state with a timestamp after the last one's, and the ids of its runs in the details."""
    timestamp = proposed.timestamp
    if run.state is not None and timestamp <= run.state.timestamp:
        timestamp = run.state.timestamp + _TICK
    ids: dict[str, UUID | None] = {}
    if isinstance(run, Run):
        ids = {"flow_run_id": run.id, "task_run_id": run.parent_task_run_id}
    elif isinstance(run, TaskRun):
        ids = {"task_run_id": run.id, "flow_run_id": run.flow_run_id}
    details = {**proposed.details, **{name: None if id is None else str(id) for name, id in ids.items()}}
    return replace(
        proposed, timestamp=timestamp, details={name: value for name, value in details.items() if value is not None}
    )


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
        found = (_kept_or_new(kind, before, run) for kind in _PLACE)
        return tuple(replace(slot, attempt=number) for slot in found if slot is not None)
    if number is not None:
        return tuple(slot for slot in before.slots if slot.kind == "deployment")
    return ()


def _kept_or_new(kind: LimitKind, before: Facts, run: Run) -> Slot | None:
    held = next((slot for slot in before.slots if slot.kind == kind), None)
    if held is not None:
        return held
    limit_id = getattr(run, _PLACE[kind])
    if limit_id is None:
        return None
    lease_id = run.state.details.get(LEASE) if run.state is not None and kind == "deployment" else None
    return Slot(kind, limit_id, UUID(lease_id) if lease_id else new_id())
