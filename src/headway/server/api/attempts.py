"""Leases and reports of attempts (Headway's own paths)."""

from __future__ import annotations

from uuid import UUID

from headway.server.api.routing import Caller, Route
from headway.server.api.transitions import fence_of
from headway.server.services.attempts import AttemptService
from headway.wire.workers import (
    AttemptReport,
    AttemptReportReply,
    AttemptReportResult,
    EngineOrders,
    RenewReply,
    RenewRequest,
    ReportRequest,
)


def routes(attempts: AttemptService) -> list[Route]:
    async def renew(name: str, body: RenewRequest) -> RenewReply:
        """A worker vouches for its attempts."""
        return await attempts.renew(name, body)

    async def report(id: UUID, number: int, body: AttemptReport) -> AttemptReportReply:
        """How an attempt began or ended; repeating a report is safe."""
        return await attempts.report(id, number, body)

    async def report_all(name: str, body: ReportRequest) -> list[AttemptReportResult]:
        """The same for many attempts at once, in one transaction; each has its own answer."""
        return await attempts.report_all(body.reports)

    async def renew_lease(id: UUID, caller: Caller) -> EngineOrders | None:
        """An engine renews its lease: 204, or 200 with what it is to end. 409 if another process owns the
        attempt, 410 if it has ended."""
        return await attempts.renew_engine(id, fence_of(caller))

    return [
        Route("POST", "/work_pools/{name}/renew", renew, tag="Workers"),
        Route("POST", "/flow_runs/{id}/attempts/{number}/report", report, tag="Workers"),
        Route("POST", "/work_pools/{name}/report", report_all, tag="Workers"),
        Route("POST", "/flow_runs/{id}/lease/renew", renew_lease, tag="Workers"),
    ]
