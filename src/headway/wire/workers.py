"""Workers: registration, heartbeat, claim, renewal and reports (DESIGN §3; paths of Headway's own)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from headway.wire.base import Limit, Name, Offset, Reply, Request
from headway.wire.deployments import Deployment
from headway.wire.filters import WorkerFilter, WorkerStatus
from headway.wire.flow_runs import FlowRun
from headway.wire.flows import Flow
from headway.wire.states import State

__all__ = [
    "Adoption",
    "AttemptEvent",
    "AttemptRef",
    "AttemptReport",
    "AttemptReportOf",
    "AttemptReportReply",
    "AttemptReportResult",
    "Claim",
    "ClaimReply",
    "ClaimRequest",
    "EngineOrders",
    "LostAttempt",
    "RenewReply",
    "RenewRequest",
    "ReportRequest",
    "StopOrder",
    "Worker",
    "WorkerHeartbeat",
    "WorkerQuery",
    "WorkerRegister",
    "WorkerRegistered",
    "WorkerStatus",
]

Interval = Annotated[float, Meta(gt=0)]


class WorkerRegister(Request):
    """POST /work_pools/{name}/workers. No `work_queues` means all of the pool, new ones too.

    `base_job_template` is the driver's default, used if the pool has none of its own. A `worker_id` that the
    worker chose makes it safe to register again after an answer was lost.
    """

    type: str
    name: Name
    work_queues: list[str] = msgspec.field(default_factory=list)
    limit: Annotated[int, Meta(ge=0)] | None = None
    flow_run_ids: list[UUID] = msgspec.field(default_factory=list)
    heartbeat_interval_seconds: Interval = 30.0
    base_job_template: dict[str, Any] | None = None
    client: str | None = None
    worker_id: UUID | None = None


class WorkerRegistered(Reply):
    worker_id: UUID
    name: str
    work_pool_id: UUID
    work_pool_name: str
    type: str
    work_queues: list[str]
    server_time: datetime


class WorkerHeartbeat(Request):
    """POST /work_pools/{name}/workers/heartbeat; stock workers send the first two only."""

    name: str
    heartbeat_interval_seconds: Interval | None = None
    type: str | None = None
    work_queues: list[str] | None = None
    limit: Annotated[int, Meta(ge=0)] | None = None
    flow_run_ids: list[UUID] | None = None
    worker_id: UUID | None = None


class Worker(Reply):
    """From `type` on the fields are Headway's own."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    work_pool_id: UUID
    last_heartbeat_time: datetime | None = None
    heartbeat_interval_seconds: int | float | None = None
    status: WorkerStatus = WorkerStatus.OFFLINE
    type: str | None = None
    work_queues: list[str] = msgspec.field(default_factory=list)
    limit: int | None = None
    flow_run_ids: list[UUID] = msgspec.field(default_factory=list)


class WorkerQuery(Request):
    """POST /work_pools/{name}/workers/filter."""

    workers: WorkerFilter | None = None
    offset: Offset | None = 0
    limit: Limit | None = None


class ClaimRequest(Request):
    """POST /work_pools/{name}/claim. The same `claim_id` returns the same runs. No names means all queues.

    With `wait_seconds` the answer comes as soon as there are runs, or orders that are new to the worker; with
    `limit` 0 only orders.
    """

    claim_id: UUID
    worker_id: UUID
    limit: Annotated[int, Meta(ge=0)]
    work_queue_names: list[str] = msgspec.field(default_factory=list)
    wait_seconds: Annotated[float, Meta(ge=0, le=30)] = 0.0


class Claim(Reply):
    """A run that is now the worker's to start; `configuration` has every placeholder filled."""

    flow_run: FlowRun
    flow: Flow
    deployment: Deployment | None
    attempt: int
    token: str
    lease_seconds: float
    configuration: dict[str, Any]
    work_queue_name: str
    work_pool_name: str


class ClaimFacts(Reply):
    """What a claim tells of a run that its process would otherwise ask for; handed over on the worker's machine."""

    flow_run: FlowRun
    deployment_name: str | None = None
    path: str | None = None
    entrypoint: str | None = None


class StopOrder(Reply):
    """End this attempt's infrastructure: asked politely, then after `grace_seconds` by force."""

    flow_run_id: UUID
    attempt: int
    grace_seconds: float
    reason: str


class Adoption(Reply):
    """An attempt whose worker has gone silent, offered with the handle to what it started."""

    flow_run_id: UUID
    attempt: int
    token: str
    handle: dict[str, Any]
    worker_name: str
    cancelling: bool = False


class ClaimReply(Reply):
    claims: list[Claim] = msgspec.field(default_factory=list)
    stop: list[StopOrder] = msgspec.field(default_factory=list)
    adopt: list[Adoption] = msgspec.field(default_factory=list)


class AttemptRef(Request):
    flow_run_id: UUID
    attempt: int
    token: str


class LostAttempt(Reply):
    """An attempt that is no longer the caller's."""

    flow_run_id: UUID
    attempt: int


class RenewRequest(Request):
    """POST /work_pools/{name}/renew: these attempts are alive."""

    worker_id: UUID
    attempts: list[AttemptRef]


class RenewReply(Reply):
    lease_seconds: float
    lost: list[LostAttempt] = msgspec.field(default_factory=list)
    stop: list[StopOrder] = msgspec.field(default_factory=list)
    adopt: list[Adoption] = msgspec.field(default_factory=list)


class EngineOrders(Reply):
    """An engine's runs that are to end: its own, or flows that it runs inline. Answers a lease renewal."""

    stop: list[UUID] = msgspec.field(default_factory=list)


class AttemptEvent(StrEnum):
    """What became of an attempt; RELEASED: it was never started and does not count."""

    STARTED = "started"
    ENDED = "ended"
    RELEASED = "released"
    START_FAILED = "start_failed"


class AttemptReport(Request):
    """POST /flow_runs/{id}/attempts/{n}/report; repeating one is safe."""

    token: str
    event: AttemptEvent
    handle: dict[str, Any] | None = None
    infrastructure_pid: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    message: str | None = None
    retryable: bool = True


class AttemptReportReply(Reply):
    state: State | None
    retry_scheduled: bool = False


class AttemptReportOf(AttemptReport, kw_only=True):
    """A report that says which attempt it is about."""

    flow_run_id: UUID
    attempt: int


class ReportRequest(Request):
    """POST /work_pools/{name}/report: many reports of one worker."""

    reports: Annotated[list[AttemptReportOf], Meta(max_length=1000)]


class AttemptReportResult(Reply, kw_only=True):
    """What became of one report. `status` is 200, or that of the error that `detail` and `code` describe."""

    flow_run_id: UUID
    attempt: int
    status: int = 200
    state: State | None = None
    retry_scheduled: bool = False
    detail: str | None = None
    code: str | None = None
