"""Workers: register, heartbeat, claim, renew, report (DESIGN §3)."""

from __future__ import annotations

from uuid import UUID

from headway.client.calls import Caller
from headway.wire.workers import (
    AttemptReport,
    AttemptReportOf,
    AttemptReportReply,
    AttemptReportResult,
    ClaimReply,
    ClaimRequest,
    RenewReply,
    RenewRequest,
    ReportRequest,
    Worker,
    WorkerHeartbeat,
    WorkerQuery,
    WorkerRegister,
    WorkerRegistered,
)

__all__ = ["WorkerCalls"]


class WorkerCalls(Caller):
    async def register_worker(self, pool: str, worker: WorkerRegister) -> WorkerRegistered:
        """Conflict with code WorkerTypeNotSupportedError or WorkerNameTakenError; NotFound for the pool."""
        return await self.call("POST", f"/work_pools/{pool}/workers", body=worker, reply=WorkerRegistered)

    async def send_worker_heartbeat(self, pool: str, heartbeat: WorkerHeartbeat) -> None:
        await self.call("POST", f"/work_pools/{pool}/workers/heartbeat", body=heartbeat)

    async def worker_offline(self, pool: str, name: str) -> None:
        """Say goodbye on a clean stop."""
        await self.call("POST", f"/work_pools/{pool}/workers/{name}/offline")

    async def read_workers(self, pool: str, query: WorkerQuery | None = None) -> list[Worker]:
        path = f"/work_pools/{pool}/workers/filter"
        return await self.call("POST", path, body=query or WorkerQuery(), reply=list[Worker])

    async def delete_worker(self, pool: str, name: str) -> None:
        await self.call("DELETE", f"/work_pools/{pool}/workers/{name}")

    async def claim(self, pool: str, request: ClaimRequest) -> ClaimReply:
        """Take the next runs; the same `claim_id` returns the same runs."""
        return await self.call("POST", f"/work_pools/{pool}/claim", body=request, reply=ClaimReply)

    async def renew(self, pool: str, request: RenewRequest) -> RenewReply:
        return await self.call("POST", f"/work_pools/{pool}/renew", body=request, reply=RenewReply)

    async def report_attempt(self, flow_run_id: UUID, attempt: int, report: AttemptReport) -> AttemptReportReply:
        path = f"/flow_runs/{flow_run_id}/attempts/{attempt}/report"
        return await self.call("POST", path, body=report, reply=AttemptReportReply)

    async def report_attempts(self, pool: str, reports: list[AttemptReportOf]) -> list[AttemptReportResult]:
        """Many reports in one request; each has its own answer."""
        body = ReportRequest(reports=reports)
        return await self.call("POST", f"/work_pools/{pool}/report", body=body, reply=list[AttemptReportResult])
