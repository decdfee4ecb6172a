"""Flow runs: creating, reading, querying and steering them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

import msgspec

from headway.wire.base import UNSET, BulkLimit, Labels, Limit, Offset, PageNumber, Part, Reply, Request, UnsetType
from headway.wire.filters import FlowRunFilter, Scope
from headway.wire.states import ResponseDetails, SetStateStatus, State, StateCreate, StateType

__all__ = [
    "CreatedBy",
    "FlowRun",
    "FlowRunBulkDelete",
    "FlowRunBulkDeleted",
    "FlowRunBulkSetState",
    "FlowRunBulkStates",
    "FlowRunCount",
    "FlowRunCreate",
    "FlowRunHistory",
    "FlowRunInput",
    "FlowRunInputCreate",
    "FlowRunInputQuery",
    "FlowRunLateness",
    "FlowRunOrchestrationResult",
    "FlowRunPage",
    "FlowRunPageQuery",
    "FlowRunPolicy",
    "FlowRunQuery",
    "FlowRunSort",
    "FlowRunUpdate",
    "HistoryInterval",
    "HistoryState",
    "ResumeFlowRun",
]


class FlowRunPolicy(Part):
    """How often and how a run is retried; `retry_on_crash` is Headway's own (DESIGN §3), default true."""

    max_retries: int = 0
    retry_delay_seconds: float = 0.0
    retries: int | None = None
    retry_delay: int | float | None = None
    pause_keys: list[str] | None = msgspec.field(default_factory=list)
    resuming: bool | None = False
    retry_type: Literal["in_process", "reschedule"] | None = None
    retry_on_crash: bool | UnsetType | None = UNSET


class CreatedBy(Part):
    """Who made or last changed something: a schedule, a deployment, a person."""

    id: UUID | None = None
    type: str | None = None
    display_value: str | None = None


class FlowRunCreate(Request):
    """POST /flow_runs/. `id` is Headway's own: a client-made id makes the call safe to repeat."""

    flow_id: UUID
    id: UUID | None = None
    state: StateCreate | None = None
    name: str | None = None
    flow_version: str | None = None
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    context: dict[str, Any] = msgspec.field(default_factory=dict)
    parent_task_run_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    empirical_policy: FlowRunPolicy = msgspec.field(default_factory=FlowRunPolicy)
    tags: list[str] = msgspec.field(default_factory=list)
    labels: Labels | None = None
    idempotency_key: str | None = None
    work_pool_name: str | None = None
    work_queue_name: str | None = None
    job_variables: dict[str, Any] | None = None
    deployment_id: UUID | None = None


class FlowRunUpdate(Request):
    name: str | UnsetType | None = UNSET
    flow_version: str | UnsetType | None = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET
    empirical_policy: FlowRunPolicy | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    infrastructure_pid: str | UnsetType | None = UNSET
    job_variables: dict[str, Any] | UnsetType | None = UNSET


class FlowRun(Reply):
    """`attempt` is Headway's own: the number of the newest attempt, null before the first. Times in seconds."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    flow_id: UUID
    state_id: UUID | None = None
    deployment_id: UUID | None = None
    deployment_version: str | None = None
    work_queue_id: UUID | None = None
    work_queue_name: str | None = None
    flow_version: str | None = None
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    idempotency_key: str | None = None
    context: dict[str, Any] = msgspec.field(default_factory=dict)
    empirical_policy: FlowRunPolicy = msgspec.field(default_factory=FlowRunPolicy)
    tags: list[str] = msgspec.field(default_factory=list)
    labels: Labels = msgspec.field(default_factory=dict)
    parent_task_run_id: UUID | None = None
    state_type: StateType | None = None
    state_name: str | None = None
    run_count: int = 0
    expected_start_time: datetime | None = None
    next_scheduled_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: float = 0.0
    estimated_run_time: float = 0.0
    estimated_start_time_delta: float = 0.0
    auto_scheduled: bool = False
    infrastructure_document_id: UUID | None = None
    infrastructure_pid: str | None = None
    created_by: CreatedBy | None = None
    work_pool_id: UUID | None = None
    work_pool_name: str | None = None
    state: State | None = None
    job_variables: dict[str, Any] | None = None
    attempt: int | None = None


class FlowRunSort(StrEnum):
    ID_DESC = "ID_DESC"
    START_TIME_ASC = "START_TIME_ASC"
    START_TIME_DESC = "START_TIME_DESC"
    EXPECTED_START_TIME_ASC = "EXPECTED_START_TIME_ASC"
    EXPECTED_START_TIME_DESC = "EXPECTED_START_TIME_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"
    NEXT_SCHEDULED_START_TIME_ASC = "NEXT_SCHEDULED_START_TIME_ASC"
    END_TIME_DESC = "END_TIME_DESC"


class FlowRunCount(Scope):
    """POST /flow_runs/count."""


class FlowRunLateness(Scope):
    """POST /flow_runs/lateness; the answer is the mean lateness in seconds, or null."""


class FlowRunQuery(Scope):
    """POST /flow_runs/filter."""

    sort: FlowRunSort | None = FlowRunSort.ID_DESC
    offset: Offset | None = 0
    limit: Limit | None = None


class FlowRunPageQuery(Scope):
    """POST /flow_runs/paginate."""

    sort: FlowRunSort | None = FlowRunSort.ID_DESC
    page: PageNumber | None = 1
    limit: Limit | None = None


class FlowRunPage(Reply):
    results: list[FlowRun]
    count: int
    limit: int
    pages: int
    page: int


class FlowRunHistory(Scope, kw_only=True):
    """POST /flow_runs/history and /task_runs/history: runs per interval of `history_interval_seconds` and state."""

    history_start: datetime
    history_end: datetime
    history_interval_seconds: float


class HistoryState(Reply):
    state_type: StateType
    state_name: str
    count_runs: int
    sum_estimated_run_time: float
    sum_estimated_lateness: float


class HistoryInterval(Reply):
    interval_start: datetime
    interval_end: datetime
    states: list[HistoryState]


class ResumeFlowRun(Request):
    """POST /flow_runs/{id}/resume, with the values for the inputs it waits for."""

    run_input: dict[str, Any] | None = None


class FlowRunInputCreate(Request):
    """POST /flow_runs/{id}/input; `value` is text, usually JSON."""

    key: str
    value: str
    sender: str | None = None


class FlowRunInputQuery(Request):
    """POST /flow_runs/{id}/input/filter."""

    prefix: str
    limit: int | None = 1
    exclude_keys: list[str] | None = msgspec.field(default_factory=list)


class FlowRunInput(Reply):
    id: UUID
    created: datetime | None
    updated: datetime | None
    flow_run_id: UUID
    key: str
    value: str
    sender: str | None = None


class FlowRunBulkDelete(Request):
    flow_runs: FlowRunFilter | None = None
    limit: BulkLimit | None = 50


class FlowRunBulkDeleted(Reply):
    deleted: list[UUID]


class FlowRunBulkSetState(Request):
    state: StateCreate
    flow_runs: FlowRunFilter | None = None
    force: bool | None = False
    limit: BulkLimit | None = 50


class FlowRunOrchestrationResult(Reply):
    flow_run_id: UUID
    status: SetStateStatus
    state: State | None
    details: ResponseDetails


class FlowRunBulkStates(Reply):
    results: list[FlowRunOrchestrationResult]
