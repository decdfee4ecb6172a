"""What a task engine says of its task runs, the compact way: POST /task_run_reports.

One report is a task run as it is now with the states it has entered since the last one, so a task that began
and ended between two batches is told once. The same as the events of CONTRACT §2.5 say, which stock engines send.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from headway.wire.base import Labels
from headway.wire.states import StateDetails, StateType
from headway.wire.task_runs import TaskInput, TaskRunPolicy

__all__ = ["Count", "EnteredState", "TaskRunReport"]

Count = Annotated[int, Meta(ge=0, lt=2**31)]
Moment = Annotated[datetime, Meta(tz=True)]


class EnteredState(msgspec.Struct, omit_defaults=True):
    """A state and when it was entered; whose it is goes without saying. `state_details` only if there are any."""

    id: UUID
    type: StateType
    timestamp: Moment
    name: str | None = None
    message: str | None = None
    data: Any = None
    state_details: StateDetails | None = None


class TaskRunReport(msgspec.Struct, omit_defaults=True):
    """A task run as its engine knows it, and its new `states`, oldest first. `total_run_time` is seconds.

    Its current state is the newest one. Times that are missing follow from the states (CONTRACT §2.3).
    """

    id: UUID
    name: str
    task_key: str
    dynamic_key: str
    states: Annotated[list[EnteredState], Meta(min_length=1)]
    flow_run_id: UUID | None = None
    flow_run_run_count: Count = 0
    run_count: Count = 0
    task_version: str | None = None
    cache_key: str | None = None
    cache_expiration: Moment | None = None
    empirical_policy: TaskRunPolicy | None = None
    tags: list[str] | None = None
    labels: Labels | None = None
    task_inputs: dict[str, list[TaskInput]] | None = None
    expected_start_time: Moment | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None
    total_run_time: float = 0.0
