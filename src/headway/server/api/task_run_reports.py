"""POST /task_run_reports: what Headway's own task engine sends instead of events."""

from __future__ import annotations

import msgspec

from headway.server.api.routing import Caller, Route
from headway.server.api.transitions import fence_of
from headway.server.services.task_run_reports import TaskRunReportService

__all__ = ["routes"]


def routes(reports: TaskRunReportService) -> list[Route]:
    async def create(body: list[msgspec.Raw], caller: Caller) -> None:
        """Record task runs and the states they have entered. A report that cannot be used is set aside."""
        await reports.take(body, caller.attempt, fence_of(caller))

    return [Route("POST", "/task_run_reports", create, tag="Task Runs")]
