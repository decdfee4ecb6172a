"""Deployments, their schedules, and the runs made from them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from headway.wire.base import UNSET, BulkLimit, Labels, Limit, Offset, PageNumber, Part, Reply, Request, UnsetType
from headway.wire.filters import DeploymentFilter, Scope
from headway.wire.flow_runs import CreatedBy, FlowRunPolicy
from headway.wire.schedules import Schedule
from headway.wire.states import StateCreate

__all__ = [
    "CollisionStrategy",
    "ConcurrencyOptions",
    "Deployment",
    "DeploymentBulkDelete",
    "DeploymentBulkDeleted",
    "DeploymentCount",
    "DeploymentCreate",
    "DeploymentFlowRunCreate",
    "DeploymentPage",
    "DeploymentPageQuery",
    "DeploymentQuery",
    "DeploymentSchedule",
    "DeploymentScheduleCreate",
    "DeploymentScheduleUpdate",
    "DeploymentSort",
    "DeploymentStatus",
    "DeploymentUpdate",
    "FlowRunBulkCreated",
    "FlowRunCreateResult",
    "GlobalConcurrencyLimit",
    "ScheduleDeployment",
    "ScheduledRunsOfDeployments",
]

Positive = Annotated[int, Meta(gt=0)]


class DeploymentStatus(StrEnum):
    READY = "READY"
    NOT_READY = "NOT_READY"


class CollisionStrategy(StrEnum):
    """What happens to a run of a deployment that is at its limit."""

    ENQUEUE = "ENQUEUE"
    CANCEL_NEW = "CANCEL_NEW"


class ConcurrencyOptions(Part):
    collision_strategy: CollisionStrategy
    grace_period_seconds: Annotated[int, Meta(ge=60, le=86400)] | None = None


class DeploymentScheduleCreate(Request):
    schedule: Schedule
    active: bool = True
    max_scheduled_runs: Positive | None = None
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    slug: str | None = None
    replaces: str | None = None


class DeploymentScheduleUpdate(Request):
    """`replaces` is the slug of the schedule that this one takes the place of."""

    active: bool | UnsetType | None = UNSET
    schedule: Schedule | UnsetType | None = UNSET
    max_scheduled_runs: Positive | UnsetType | None = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET
    slug: str | UnsetType | None = UNSET
    replaces: str | UnsetType | None = UNSET


class DeploymentSchedule(Reply):
    id: UUID
    created: datetime | None
    updated: datetime | None
    schedule: Schedule
    deployment_id: UUID | None = None
    active: bool = True
    max_scheduled_runs: int | None = None
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    slug: str | None = None


class DeploymentCreate(Request):
    """POST /deployments/; one that exists (same flow and name) is changed. Delays are seconds.

    `retries`, `retry_delay` and `retry_on_crash` are Headway's own: what each run starts with (DESIGN §3).
    """

    name: str
    flow_id: UUID
    paused: bool = False
    schedules: list[DeploymentScheduleCreate] = msgspec.field(default_factory=list)
    concurrency_limit: Positive | None = None
    concurrency_options: ConcurrencyOptions | None = None
    global_concurrency_limit_id: UUID | None = None
    enforce_parameter_schema: bool = True
    parameter_openapi_schema: dict[str, Any] | None = msgspec.field(default_factory=dict)
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    tags: list[str] = msgspec.field(default_factory=list)
    labels: Labels | None = None
    pull_steps: list[dict[str, Any]] | None = None
    work_queue_name: str | None = None
    work_pool_name: str | None = None
    storage_document_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    description: str | None = None
    path: str | None = None
    version: str | None = None
    entrypoint: str | None = None
    job_variables: dict[str, Any] = msgspec.field(default_factory=dict)
    version_info: dict[str, Any] | None = None
    retries: Annotated[int, Meta(ge=0)] | None = None
    retry_delay: Annotated[float, Meta(ge=0)] | None = None
    retry_on_crash: bool | None = None


class DeploymentUpdate(Request):
    version: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    paused: bool | UnsetType = UNSET
    schedules: list[DeploymentScheduleUpdate] | UnsetType = UNSET
    concurrency_limit: Positive | UnsetType | None = UNSET
    concurrency_options: ConcurrencyOptions | UnsetType | None = UNSET
    global_concurrency_limit_id: UUID | UnsetType | None = UNSET
    parameters: dict[str, Any] | UnsetType | None = UNSET
    parameter_openapi_schema: dict[str, Any] | UnsetType | None = UNSET
    tags: list[str] | UnsetType = UNSET
    work_queue_name: str | UnsetType | None = UNSET
    work_pool_name: str | UnsetType | None = UNSET
    path: str | UnsetType | None = UNSET
    job_variables: dict[str, Any] | UnsetType | None = UNSET
    pull_steps: list[dict[str, Any]] | UnsetType | None = UNSET
    entrypoint: str | UnsetType | None = UNSET
    storage_document_id: UUID | UnsetType | None = UNSET
    infrastructure_document_id: UUID | UnsetType | None = UNSET
    enforce_parameter_schema: bool | UnsetType | None = UNSET
    version_info: dict[str, Any] | UnsetType | None = UNSET
    retries: Annotated[int, Meta(ge=0)] | UnsetType | None = UNSET
    retry_delay: Annotated[float, Meta(ge=0)] | UnsetType | None = UNSET
    retry_on_crash: bool | UnsetType | None = UNSET


class GlobalConcurrencyLimit(Reply):
    """The limit that stands behind a deployment's `concurrency_limit`."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    limit: int
    active_slots: int
    active: bool = True
    slot_decay_per_second: float = 0.0


class Deployment(Reply):
    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    flow_id: UUID
    version: str | None = None
    description: str | None = None
    paused: bool = False
    schedules: list[DeploymentSchedule] = msgspec.field(default_factory=list)
    concurrency_limit: int | None = None
    global_concurrency_limit: GlobalConcurrencyLimit | None = None
    concurrency_options: ConcurrencyOptions | None = None
    job_variables: dict[str, Any] = msgspec.field(default_factory=dict)
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    tags: list[str] = msgspec.field(default_factory=list)
    labels: Labels = msgspec.field(default_factory=dict)
    work_queue_name: str | None = None
    work_queue_id: UUID | None = None
    last_polled: datetime | None = None
    parameter_openapi_schema: dict[str, Any] | None = None
    path: str | None = None
    pull_steps: list[dict[str, Any]] | None = None
    entrypoint: str | None = None
    storage_document_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    created_by: CreatedBy | None = None
    updated_by: CreatedBy | None = None
    work_pool_name: str | None = None
    status: DeploymentStatus | None = DeploymentStatus.NOT_READY
    enforce_parameter_schema: bool = True
    retries: int | None = None
    retry_delay: float | None = None
    retry_on_crash: bool | None = None


class DeploymentSort(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"


class DeploymentCount(Scope):
    """POST /deployments/count."""


class DeploymentQuery(Scope):
    """POST /deployments/filter."""

    sort: DeploymentSort | None = DeploymentSort.NAME_ASC
    offset: Offset | None = 0
    limit: Limit | None = None


class DeploymentPageQuery(Scope):
    """POST /deployments/paginate."""

    sort: DeploymentSort | None = DeploymentSort.NAME_ASC
    page: PageNumber | None = 1
    limit: Limit | None = None


class DeploymentPage(Reply):
    results: list[Deployment]
    count: int
    limit: int
    pages: int
    page: int


class DeploymentFlowRunCreate(Request):
    """POST /deployments/{id}/create_flow_run. `id` is Headway's own, as in FlowRunCreate."""

    id: UUID | None = None
    state: StateCreate | None = None
    name: str | None = None
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    enforce_parameter_schema: bool | None = None
    context: dict[str, Any] = msgspec.field(default_factory=dict)
    infrastructure_document_id: UUID | None = None
    empirical_policy: FlowRunPolicy = msgspec.field(default_factory=FlowRunPolicy)
    tags: list[str] = msgspec.field(default_factory=list)
    idempotency_key: str | None = None
    labels: Labels | None = None
    parent_task_run_id: UUID | None = None
    work_queue_name: str | None = None
    job_variables: dict[str, Any] | None = None


class FlowRunCreateResult(Reply):
    status: Literal["CREATED", "FAILED"]
    flow_run_id: UUID | None = None
    error: str | None = None


class FlowRunBulkCreated(Reply):
    results: list[FlowRunCreateResult]


class ScheduledRunsOfDeployments(Request):
    """POST /deployments/get_scheduled_flow_runs."""

    deployment_ids: list[UUID]
    scheduled_before: datetime | None = None
    limit: Limit | None = None


class ScheduleDeployment(Request):
    """POST /deployments/{id}/schedule: make the runs of this span now; `min_time` is seconds."""

    start_time: datetime | None = None
    end_time: datetime | None = None
    min_time: float | None = None
    min_runs: int | None = None
    max_runs: int | None = None


class DeploymentBulkDelete(Request):
    deployments: DeploymentFilter | None = None
    limit: BulkLimit | None = 50


class DeploymentBulkDeleted(Reply):
    deleted: list[UUID]
