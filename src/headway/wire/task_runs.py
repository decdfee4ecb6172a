"""Task runs. Most are known from events (wire/events.py); these are the REST ways to make and read them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from headway.wire.base import UNSET, Labels, Limit, Offset, PageNumber, Part, Reply, Request, UnsetType
from headway.wire.filters import Scope
from headway.wire.states import State, StateCreate, StateType

__all__ = [
    "ConstantInput",
    "FlowRunInputRef",
    "PagedTaskRun",
    "ParameterInput",
    "TaskInput",
    "TaskRun",
    "TaskRunCount",
    "TaskRunCreate",
    "TaskRunPage",
    "TaskRunPageQuery",
    "TaskRunPolicy",
    "TaskRunQuery",
    "TaskRunRef",
    "TaskRunSort",
    "TaskRunUpdate",
]


class TaskRunPolicy(Part):
    """Delays in seconds: one for all retries, or a list with one for each."""

    max_retries: int = 0
    retry_delay_seconds: float = 0.0
    retries: int | None = None
    retry_delay: int | float | list[int | float] | None = None
    retry_jitter_factor: float | None = None


class TaskRunRef(Reply, tag_field="input_type", tag="task_run"):
    """An input that is the result of a task run."""

    id: UUID


class FlowRunInputRef(Reply, tag_field="input_type", tag="flow_run"):
    """An input that is the result of a flow run."""

    id: UUID


class ParameterInput(Reply, tag_field="input_type", tag="parameter"):
    """An input that is a parameter of the flow."""

    name: str


class ConstantInput(Reply, tag_field="input_type", tag="constant"):
    """An input of a plain type."""

    type: str


TaskInput = TaskRunRef | FlowRunInputRef | ParameterInput | ConstantInput


class TaskRunCreate(Request):
    task_key: str
    dynamic_key: str
    id: UUID | None = None
    state: StateCreate | None = None
    name: str | None = None
    flow_run_id: UUID | None = None
    cache_key: str | None = None
    cache_expiration: datetime | None = None
    task_version: str | None = None
    empirical_policy: TaskRunPolicy = msgspec.field(default_factory=TaskRunPolicy)
    tags: list[str] = msgspec.field(default_factory=list)
    labels: Labels | None = None
    task_inputs: dict[str, list[TaskInput]] = msgspec.field(default_factory=dict)


class TaskRunUpdate(Request):
    name: str | UnsetType | None = UNSET


class TaskRun(Reply):
    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    task_key: str
    dynamic_key: str
    flow_run_id: UUID | None = None
    cache_key: str | None = None
    cache_expiration: datetime | None = None
    task_version: str | None = None
    empirical_policy: TaskRunPolicy = msgspec.field(default_factory=TaskRunPolicy)
    tags: list[str] = msgspec.field(default_factory=list)
    labels: Labels | None = None
    state_id: UUID | None = None
    task_inputs: dict[str, list[TaskInput]] = msgspec.field(default_factory=dict)
    state_type: StateType | None = None
    state_name: str | None = None
    run_count: int = 0
    flow_run_run_count: int = 0
    expected_start_time: datetime | None = None
    next_scheduled_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: float = 0.0
    estimated_run_time: float = 0.0
    estimated_start_time_delta: float = 0.0
    state: State | None = None


class TaskRunSort(StrEnum):
    ID_DESC = "ID_DESC"
    EXPECTED_START_TIME_ASC = "EXPECTED_START_TIME_ASC"
    EXPECTED_START_TIME_DESC = "EXPECTED_START_TIME_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"
    NEXT_SCHEDULED_START_TIME_ASC = "NEXT_SCHEDULED_START_TIME_ASC"
    END_TIME_DESC = "END_TIME_DESC"


class TaskRunCount(Scope):
    """POST /task_runs/count."""


class TaskRunQuery(Scope):
    """POST /task_runs/filter."""

    sort: TaskRunSort | None = TaskRunSort.ID_DESC
    offset: Offset | None = 0
    limit: Limit | None = None


class TaskRunPageQuery(Scope):
    """POST /task_runs/paginate."""

    sort: TaskRunSort | None = TaskRunSort.ID_DESC
    page: PageNumber | None = 1
    limit: Limit | None = None


class PagedTaskRun(Reply):
    """A task run as /task_runs/paginate shows it: with fewer fields than elsewhere."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    task_key: str
    flow_run_id: UUID | None = None
    state_id: UUID | None = None
    state: State | None = None
    task_version: str | None = None
    task_inputs: dict[str, list[TaskInput]] = msgspec.field(default_factory=dict)
    empirical_policy: TaskRunPolicy = msgspec.field(default_factory=TaskRunPolicy)
    tags: list[str] = msgspec.field(default_factory=list)
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: float = 0.0
    estimated_run_time: float = 0.0
    estimated_start_time_delta: float = 0.0


class TaskRunPage(Reply):
    results: list[PagedTaskRun]
    count: int
    limit: int
    pages: int
    page: int
