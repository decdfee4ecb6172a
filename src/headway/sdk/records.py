"""Task-run records: what the flow's thread notes in passing, and what the server is told (CONTRACT §2.5).

Noting costs one small object; rendering and encoding happen on the session's thread. Headway's server is told a
task run once per batch, with all the states it has entered since the last one; stock servers get an event per state.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from headway.core.states import TERMINAL, StateType
from headway.sdk.states import State
from headway.wire.task_run_reports import EnteredState, TaskRunReport

STEP = timedelta(microseconds=1)

__all__ = ["TaskRunInfo", "TaskRunRecord", "portable", "render", "reports_of"]


class TaskRunInfo:
    """One task run as its engine knows it. Times are UTC, durations seconds."""

    __slots__ = (
        "abandoned",
        "cache_expiration",
        "cache_key",
        "dynamic_key",
        "end_time",
        "expected_start_time",
        "flow_run_count",
        "flow_run_id",
        "id",
        "name",
        "policy",
        "run_count",
        "start_time",
        "state",
        "tags",
        "task_inputs",
        "task_key",
        "total_run_time",
        "version",
    )

    def __init__(
        self,
        id: UUID,
        name: str,
        task_key: str,
        dynamic_key: str,
        *,
        flow_run_id: UUID | None,
        flow_run_count: int,
        tags: list[str],
        task_inputs: dict[str, Any],
        policy: dict[str, Any],
        version: str | None,
    ) -> None:
        self.id = id
        self.name = name
        self.task_key = task_key
        self.dynamic_key = dynamic_key
        self.flow_run_id = flow_run_id
        self.flow_run_count = flow_run_count
        self.tags = tags
        self.task_inputs = task_inputs
        self.policy = policy
        self.version = version
        self.abandoned = False
        self.run_count = 0
        self.total_run_time = 0.0
        self.cache_key: str | None = None
        self.cache_expiration: datetime | None = None
        self.expected_start_time: datetime | None = None
        self.start_time: datetime | None = None
        self.end_time: datetime | None = None
        self.state: State | None = None

    def enter(self, state: State) -> TaskRunRecord:
        """Go into `state` and return the record of it (CONTRACT §2.3, the task's part)."""
        previous = self.state
        if previous is not None:
            if state.timestamp <= previous.timestamp:
                state.timestamp = previous.timestamp + STEP
            if previous.type is StateType.RUNNING:
                self.total_run_time += (state.timestamp - previous.timestamp).total_seconds()
        now = state.timestamp
        if self.expected_start_time is None:
            self.expected_start_time = now
        if state.type is StateType.RUNNING:
            self.run_count += 1
            self.start_time = self.start_time or now
        elif state.type in TERMINAL:
            self.end_time = now
            self.start_time = self.start_time or now
        self.state = state
        return TaskRunRecord(
            self,
            previous,
            state,
            self.run_count,
            self.name,
            self.start_time,
            self.end_time,
            self.total_run_time,
            self.cache_key,
            self.cache_expiration,
        )


class TaskRunRecord(NamedTuple):
    """What a task run was when it entered a state; later changes of the run do not touch it."""

    run: TaskRunInfo
    previous: State | None
    state: State
    run_count: int
    name: str
    start_time: datetime | None
    end_time: datetime | None
    total_run_time: float
    cache_key: str | None
    cache_expiration: datetime | None


def reports_of(records: Iterable[TaskRunRecord]) -> list[TaskRunReport]:
    """One report per task run: what it was last, and the states it entered."""
    together: dict[int, list[TaskRunRecord]] = {}
    for record in records:
        together.setdefault(id(record.run), []).append(record)
    return [_report(parts) for parts in together.values()]


def _report(parts: list[TaskRunRecord]) -> TaskRunReport:
    newest = parts[-1]
    run = newest.run
    policy: Any = run.policy
    inputs: Any = run.task_inputs
    return TaskRunReport(
        run.id,
        newest.name,
        run.task_key,
        run.dynamic_key,
        [_entered(part.state) for part in parts],
        run.flow_run_id,
        run.flow_run_count,
        newest.run_count,
        run.version,
        newest.cache_key,
        newest.cache_expiration,
        policy,
        run.tags or None,
        None,
        inputs,
        run.expected_start_time,
        newest.start_time,
        newest.end_time,
        newest.total_run_time,
    )


def _entered(state: State) -> EnteredState:
    details: Any = {name: value for name, value in state.details.items() if value is not None} or None
    return EnteredState(state.id, state.type, state.timestamp, state.name, state.message or "", state.data, details)


def portable(record: TaskRunRecord) -> TaskRunRecord:
    """A record that can go to another process: without the values that states carry here."""
    run = copy.copy(record.run)
    run.state = None
    previous = None if record.previous is None else record.previous.without_value()
    return record._replace(run=run, previous=previous, state=record.state.without_value())


def render(record: TaskRunRecord) -> dict[str, Any]:
    """The event of CONTRACT §2.5; its id is the state's."""
    run, state, previous = record.run, record.state, record.previous
    related = [{"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"} for tag in run.tags]
    if run.flow_run_id is not None:
        related.append(
            {"prefect.resource.id": f"prefect.flow-run.{run.flow_run_id}", "prefect.resource.role": "flow-run"}
        )
    return {
        "id": state.id,
        "occurred": state.timestamp,
        "event": f"prefect.task-run.{state.name}",
        "follows": previous.id if previous is not None else None,
        "resource": {
            "prefect.resource.id": f"prefect.task-run.{run.id}",
            "prefect.resource.name": record.name,
            "prefect.run-count": str(record.run_count),
            "prefect.state-message": state.message or "",
            "prefect.state-name": state.name,
            "prefect.state-timestamp": state.timestamp.isoformat(),
            "prefect.state-type": state.type.value,
            "prefect.orchestration": "client",
        },
        "related": related,
        "payload": {
            "intended": {"from": previous.type.value if previous else None, "to": state.type.value},
            "initial_state": None if previous is None else _state(previous, run, with_data=False),
            "validated_state": _state(state, run, with_data=True),
            "task_run": _task_run(record),
        },
    }


def _state(state: State, run: TaskRunInfo, *, with_data: bool) -> dict[str, Any]:
    details = {"task_run_id": run.id, "flow_run_id": run.flow_run_id, **state.details}
    rendered: dict[str, Any] = {
        "type": state.type.value,
        "name": state.name,
        "message": state.message or "",
        "state_details": details,
    }
    if with_data:
        rendered["data"] = state.data
    return rendered


def _task_run(record: TaskRunRecord) -> dict[str, Any]:
    run = record.run
    return {
        "name": record.name,
        "task_key": run.task_key,
        "dynamic_key": run.dynamic_key,
        "cache_key": record.cache_key,
        "cache_expiration": record.cache_expiration,
        "task_version": run.version,
        "empirical_policy": run.policy,
        "tags": run.tags,
        "labels": {},
        "task_inputs": run.task_inputs,
        "run_count": record.run_count,
        "flow_run_run_count": run.flow_run_count,
        "expected_start_time": run.expected_start_time,
        "start_time": record.start_time,
        "end_time": record.end_time,
        "total_run_time": record.total_run_time,
        "estimated_run_time": record.total_run_time,
        "estimated_start_time_delta": 0.0,
    }
