"""Work queues: the lines inside a pool."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from headway.wire.base import UNSET, Limit, Name, Offset, PageNumber, Part, Reply, Request, UnsetType
from headway.wire.filters import WorkQueueFilter
from headway.wire.states import StateType

__all__ = [
    "FlowRunSlot",
    "QueueFilter",
    "ScheduledRunsOfQueue",
    "WorkQueue",
    "WorkQueueConcurrency",
    "WorkQueueConcurrencyQuery",
    "WorkQueueCreate",
    "WorkQueueHealth",
    "WorkQueueHealthPolicy",
    "WorkQueueQuery",
    "WorkQueueStatus",
    "WorkQueueUpdate",
]

Priority = Annotated[int, Meta(ge=0)]
"""Smaller is served first; 0 comes before 1."""


class WorkQueueStatus(StrEnum):
    READY = "READY"
    NOT_READY = "NOT_READY"
    PAUSED = "PAUSED"


class QueueFilter(Part):
    """What old agents' queues chose their runs by; kept, not used."""

    tags: list[str] | None = None
    deployment_ids: list[UUID] | None = None


class WorkQueueCreate(Request):
    name: Name
    description: str | None = ""
    is_paused: bool = False
    concurrency_limit: Annotated[int, Meta(ge=0)] | None = None
    priority: Priority | None = None
    filter: QueueFilter | None = None


class WorkQueueUpdate(Request):
    name: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    is_paused: bool | UnsetType = UNSET
    concurrency_limit: Annotated[int, Meta(ge=0)] | UnsetType | None = UNSET
    priority: Priority | UnsetType | None = UNSET
    last_polled: datetime | UnsetType | None = UNSET
    filter: QueueFilter | UnsetType | None = UNSET


class WorkQueue(Reply):
    """`served_order` is Headway's own: which queues of the pool come before and after this one, in words."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    description: str | None = ""
    is_paused: bool = False
    concurrency_limit: int | None = None
    priority: int = 1
    work_pool_id: UUID | None = None
    filter: QueueFilter | None = None
    last_polled: datetime | None = None
    work_pool_name: str | None = None
    status: WorkQueueStatus | None = None
    active_slots: int | None = None
    served_order: str | UnsetType = UNSET


class WorkQueueQuery(Request):
    """POST /work_pools/{name}/queues/filter and /work_queues/filter."""

    work_queues: WorkQueueFilter | None = None
    offset: Offset | None = 0
    limit: Limit | None = None


class ScheduledRunsOfQueue(Request):
    """POST /work_queues/{id}/get_runs."""

    scheduled_before: datetime | None = None
    limit: Limit | None = None


class WorkQueueHealthPolicy(Reply):
    maximum_late_runs: int | None = 0
    maximum_seconds_since_last_polled: int | None = 60


class WorkQueueHealth(Reply):
    """GET /work_queues/{id}/status."""

    healthy: bool
    health_check_policy: WorkQueueHealthPolicy
    late_runs_count: int = 0
    last_polled: datetime | None = None


class FlowRunSlot(Reply):
    """A run that holds a slot; `time_in_current_state` is seconds."""

    id: UUID
    name: str
    state_type: StateType | None = None
    state_name: str | None = None
    start_time: datetime | None = None
    state_timestamp: datetime | None = None
    time_in_current_state: float | None = None


class WorkQueueConcurrencyQuery(Request):
    """POST /work_queues/{id}/concurrency_status."""

    page: PageNumber | None = 1
    limit: Limit | None = None


class WorkQueueConcurrency(Reply):
    active_slots: int
    count: int
    limit: int
    pages: int
    page: int
    concurrency_limit: int | None = None
    flow_runs: list[FlowRunSlot] = msgspec.field(default_factory=list)
