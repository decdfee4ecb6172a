"""Work pools, and the poll that stock workers fetch runs with."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from headway.wire.base import UNSET, Limit, Name, Offset, PageNumber, Part, Reply, Request, UnsetType
from headway.wire.filters import WorkPoolFilter
from headway.wire.flow_runs import FlowRun
from headway.wire.work_queues import FlowRunSlot

__all__ = [
    "Backlog",
    "ScheduledRun",
    "ScheduledRunsOfPool",
    "StorageConfiguration",
    "WorkPool",
    "WorkPoolConcurrency",
    "WorkPoolConcurrencyQuery",
    "WorkPoolCount",
    "WorkPoolCreate",
    "WorkPoolQuery",
    "WorkPoolStatus",
    "WorkPoolUpdate",
    "WorkQueueSlots",
]


class WorkPoolStatus(StrEnum):
    READY = "READY"
    NOT_READY = "NOT_READY"
    PAUSED = "PAUSED"


class StorageConfiguration(Part):
    """Where a pool's bundles and results go; kept for clients that know what it means."""

    bundle_upload_step: dict[str, Any] | None = None
    bundle_execution_step: dict[str, Any] | None = None
    default_result_storage_block_id: UUID | None = None


class WorkPoolCreate(Request):
    name: Name
    description: str | None = None
    type: str = "prefect-agent"
    base_job_template: dict[str, Any] = msgspec.field(default_factory=dict)
    is_paused: bool = False
    concurrency_limit: Annotated[int, Meta(ge=0)] | None = None
    storage_configuration: StorageConfiguration = msgspec.field(default_factory=StorageConfiguration)


class WorkPoolUpdate(Request):
    """A pool's type never changes: `type` is accepted only to be refused with a reason, unless it is the same."""

    description: str | UnsetType | None = UNSET
    is_paused: bool | UnsetType | None = UNSET
    base_job_template: dict[str, Any] | UnsetType | None = UNSET
    concurrency_limit: Annotated[int, Meta(ge=0)] | UnsetType | None = UNSET
    storage_configuration: StorageConfiguration | UnsetType | None = UNSET
    type: str | UnsetType | None = UNSET


class WorkPool(Reply):
    """`warnings` is Headway's own and only there when making the pool gave reason for some."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    type: str
    description: str | None = None
    base_job_template: dict[str, Any] = msgspec.field(default_factory=dict)
    is_paused: bool = False
    concurrency_limit: int | None = None
    status: WorkPoolStatus | None = None
    default_queue_id: UUID | None = None
    storage_configuration: StorageConfiguration = msgspec.field(default_factory=StorageConfiguration)
    active_slots: int | None = None
    warnings: list[str] | UnsetType = UNSET


class WorkPoolCount(Request):
    """POST /work_pools/count."""

    work_pools: WorkPoolFilter | None = None


class WorkPoolQuery(Request):
    """POST /work_pools/filter."""

    work_pools: WorkPoolFilter | None = None
    offset: Offset | None = 0
    limit: Limit | None = None


class ScheduledRunsOfPool(Request):
    """POST /work_pools/{name}/get_scheduled_flow_runs; no names means all queues of the pool."""

    work_queue_names: list[str] | None = None
    scheduled_before: datetime | None = None
    scheduled_after: datetime | None = None
    limit: Limit | None = None


class ScheduledRun(Reply):
    work_pool_id: UUID
    work_queue_id: UUID
    flow_run: FlowRun


class WorkPoolConcurrencyQuery(Request):
    """POST /work_pools/{name}/concurrency_status."""

    page: PageNumber | None = 1
    limit: Limit | None = None
    flow_run_limit: Limit | None = 10


class WorkQueueSlots(Reply):
    queue_id: UUID
    queue_name: str
    active_slots: int
    concurrency_limit: int | None = None
    flow_runs: list[FlowRunSlot] = msgspec.field(default_factory=list)
    flow_run_count: int | None = None


class WorkPoolConcurrency(Reply):
    active_slots: int
    count: int
    limit: int
    pages: int
    page: int
    concurrency_limit: int | None = None
    queues: list[WorkQueueSlots] = msgspec.field(default_factory=list)


class Backlog(Reply):
    """GET /work_pools/{name}/backlog: what an autoscaler looks at, of a pool or of one queue.

    `waiting` runs are due and not taken, `late` of them are marked so; `oldest_seconds` is how long the first has been
    due (null: none waits). `running` have been taken and have not ended. `slots_free` is how many more the limits of
    pool and queues admit: null without limits, 0 while paused.
    """

    waiting: int
    late: int
    oldest_seconds: float | None
    running: int
    slots_free: int | None
