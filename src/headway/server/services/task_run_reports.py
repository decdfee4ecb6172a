"""From an event about a task run to the rows that record it (CONTRACT §2.5). Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from headway.core.errors import Invalid
from headway.core.states import TERMINAL, StateType, default_name, moment
from headway.store.protocols import Row
from headway.wire.events import IncomingEvent, ReportedState, ReportedTaskRun, TaskRunReport

__all__ = ["is_task_run_report", "rows_of"]

_TASK_RUN = "prefect.task-run."
_FLOW_RUN = "prefect.flow-run."
_read = msgspec.json.Decoder(TaskRunReport).decode


def is_task_run_report(event: IncomingEvent) -> bool:
    """True for what a task engine says of its own task run; other services' events only look like it."""
    return event.event.startswith(_TASK_RUN) and event.resource.get("prefect.orchestration") == "client"


def rows_of(event: IncomingEvent, attempt: int | None, now: datetime) -> tuple[Row, Row]:
    """The rows of the task run and of the state it has entered. Raises Invalid or msgspec.ValidationError."""
    report = _read(event.payload)
    task_run_id = _id(event.resource.get("prefect.resource.id"), _TASK_RUN, "resource")
    flow_run = event.related_as("flow-run")
    flow_run_id = None if flow_run is None else _id(flow_run, _FLOW_RUN, "related flow-run")
    state = _state_row(event, report.validated_state, task_run_id, flow_run_id)
    run = {
        "id": task_run_id,
        "created": now,
        "updated": now,
        "flow_run_id": flow_run_id,
        "attempt": attempt,
        "state_id": event.id,
        "state_type": state["type"],
        "state_name": state["name"],
        "state_timestamp": event.occurred,
        **_task_columns(report.task_run),
        **_times(event.occurred, report.validated_state, report.task_run),
    }
    return run, state


def _id(name: str | None, prefix: str, what: str) -> UUID:
    try:
        if name is not None and name.startswith(prefix):
            return UUID(name.removeprefix(prefix))
    except ValueError:
        pass
    raise Invalid(f"The {what} is '{name}', expected '{prefix}<uuid>'.")


def _state_row(event: IncomingEvent, state: ReportedState, task_run_id: UUID, flow_run_id: UUID | None) -> Row:
    details: dict[str, Any] = msgspec.to_builtins(state.state_details)
    details = {key: value for key, value in details.items() if value is not None and value is not False}
    details["task_run_id"] = str(task_run_id)
    if flow_run_id is not None:
        details["flow_run_id"] = str(flow_run_id)
    return {
        "id": event.id,
        "type": state.type.value,
        "name": state.name or default_name(state.type),
        "timestamp": event.occurred,
        "message": state.message,
        "data": state.data,
        "state_details": details,
    }


def _task_columns(run: ReportedTaskRun) -> dict[str, Any]:
    return {
        "name": run.name,
        "task_key": run.task_key,
        "dynamic_key": run.dynamic_key,
        "cache_key": run.cache_key,
        "cache_expiration": run.cache_expiration,
        "task_version": run.task_version,
        "empirical_policy": msgspec.to_builtins(run.empirical_policy),
        "tags": run.tags,
        "labels": run.labels or {},
        "task_inputs": msgspec.to_builtins(run.task_inputs),
        "run_count": run.run_count,
        "flow_run_run_count": run.flow_run_run_count,
        "total_run_time": _seconds(run.total_run_time),
    }


def _times(occurred: datetime, state: ReportedState, run: ReportedTaskRun) -> dict[str, Any]:
    """Times that an engine left out follow from its states (CONTRACT §2.3)."""
    is_final = state.type in TERMINAL
    end = (run.end_time or occurred) if is_final else None
    start = run.start_time or (occurred if state.type is StateType.RUNNING else end)
    due = state.state_details.scheduled_time or occurred if state.type is StateType.SCHEDULED else None
    return {
        "expected_start_time": run.expected_start_time or occurred,
        "next_scheduled_start_time": moment(due),
        "start_time": start,
        "end_time": end,
    }


def _seconds(duration: float | timedelta) -> float:
    return duration.total_seconds() if isinstance(duration, timedelta) else duration
