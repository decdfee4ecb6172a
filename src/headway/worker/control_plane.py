"""What the worker needs of the API; `headway.client.Client` has it."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from headway.wire.flow_runs import FlowRun
from headway.wire.logs import LogCreate
from headway.wire.work_pools import WorkPool
from headway.wire.workers import (
    AttemptReport,
    AttemptReportOf,
    AttemptReportReply,
    AttemptReportResult,
    ClaimReply,
    ClaimRequest,
    RenewReply,
    RenewRequest,
    WorkerHeartbeat,
    WorkerRegister,
    WorkerRegistered,
)

__all__ = ["ControlPlane"]


class ControlPlane(Protocol):
    """Errors are those of `headway.core.errors`; every call is safe to repeat (DESIGN §3)."""

    @property
    def url(self) -> str: ...

    async def read_work_pool(self, name: str) -> WorkPool: ...

    async def register_worker(self, pool: str, worker: WorkerRegister) -> WorkerRegistered: ...

    async def send_worker_heartbeat(self, pool: str, heartbeat: WorkerHeartbeat) -> None: ...

    async def worker_offline(self, pool: str, name: str) -> None: ...

    async def claim(self, pool: str, request: ClaimRequest) -> ClaimReply: ...

    async def renew(self, pool: str, request: RenewRequest) -> RenewReply: ...

    async def report_attempt(self, flow_run_id: UUID, attempt: int, report: AttemptReport) -> AttemptReportReply: ...

    async def report_attempts(self, pool: str, reports: list[AttemptReportOf]) -> list[AttemptReportResult]: ...

    async def read_flow_run(self, flow_run_id: UUID) -> FlowRun: ...

    async def create_logs(self, logs: list[LogCreate]) -> None: ...
