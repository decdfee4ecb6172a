"""Events, sent in batches; task runs are recorded from them (CONTRACT §2.5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from headway.wire.base import Labels, Part
from headway.wire.states import StateDetails, StateType
from headway.wire.task_run_reports import Count
from headway.wire.task_runs import TaskInput, TaskRunPolicy

__all__ = ["Event", "IncomingEvent", "ReportedState", "ReportedTaskRun", "Resource", "TaskRunPayload"]

Resource = dict[str, str]
"""Labels of a thing, `prefect.resource.id` among them; of a related one also `prefect.resource.role`."""


class Event(Part):
    """POST /events takes a list of these. They may come more than once: `id` decides."""

    id: UUID
    occurred: datetime
    event: str
    resource: Resource
    related: list[Resource] = msgspec.field(default_factory=list)
    payload: dict[str, Any] = msgspec.field(default_factory=dict)
    follows: UUID | None = None


class IncomingEvent(Part):
    """An event as the server reads it: the payload stays as it came until it is known what it means."""

    id: UUID
    occurred: datetime
    event: str
    resource: Resource
    related: list[Resource] = msgspec.field(default_factory=list)
    payload: msgspec.Raw = msgspec.Raw(b"{}")
    follows: UUID | None = None

    def related_as(self, role: str) -> str | None:
        """The id of the related resource in that role."""
        for resource in self.related:
            if resource.get("prefect.resource.role") == role:
                return resource.get("prefect.resource.id")
        return None


class ReportedState(Part):
    """The state that a task run has entered; its id and time are the event's."""

    type: StateType
    name: str | None = None
    message: str | None = None
    data: Any = None
    state_details: StateDetails = msgspec.field(default_factory=StateDetails)


class ReportedTaskRun(Part):
    """A task run as its engine knows it. `total_run_time` is seconds, or an ISO 8601 duration."""

    name: str
    task_key: str
    dynamic_key: str
    cache_key: str | None = None
    cache_expiration: datetime | None = None
    task_version: str | None = None
    empirical_policy: TaskRunPolicy = msgspec.field(default_factory=TaskRunPolicy)
    tags: list[str] = msgspec.field(default_factory=list)
    labels: Labels | None = None
    task_inputs: dict[str, list[TaskInput]] = msgspec.field(default_factory=dict)
    run_count: Count = 0
    flow_run_run_count: Count = 0
    expected_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: float | timedelta = 0.0


class TaskRunPayload(Part):
    """The payload of an event `prefect.task-run.*`."""

    validated_state: ReportedState
    task_run: ReportedTaskRun
