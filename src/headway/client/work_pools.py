"""Work pools."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from headway.client.calls import Caller
from headway.wire.work_pools import (
    Backlog,
    ScheduledRun,
    ScheduledRunsOfPool,
    WorkPool,
    WorkPoolCreate,
    WorkPoolQuery,
    WorkPoolUpdate,
)

__all__ = ["WorkPoolCalls"]


class WorkPoolCalls(Caller):
    async def create_work_pool(self, pool: WorkPoolCreate) -> WorkPool:
        return await self.call("POST", "/work_pools/", body=pool, reply=WorkPool)

    async def read_work_pool(self, name: str) -> WorkPool:
        return await self.call("GET", f"/work_pools/{name}", reply=WorkPool)

    async def read_work_pools(self, query: WorkPoolQuery | None = None) -> list[WorkPool]:
        return await self.call("POST", "/work_pools/filter", body=query or WorkPoolQuery(), reply=list[WorkPool])

    async def update_work_pool(self, name: str, update: WorkPoolUpdate) -> None:
        await self.call("PATCH", f"/work_pools/{name}", body=update)

    async def read_backlog(self, name: str, queue: str | None = None) -> Backlog:
        """What waits and runs there, and how much more could."""
        return await self.call("GET", f"/work_pools/{name}/backlog", query={"queue": queue}, reply=Backlog)

    async def delete_work_pool(self, name: str, force: bool = False) -> None:
        """Refused (Conflict) while runs wait or run; `force` cancels them first."""
        query: dict[str, Any] = {"force": "true"} if force else {}
        await self.call("DELETE", f"/work_pools/{name}", query=query)

    async def get_scheduled_flow_runs(
        self,
        name: str,
        work_queue_names: list[str] | None = None,
        scheduled_before: datetime | None = None,
        limit: int | None = None,
    ) -> list[ScheduledRun]:
        """The Prefect-shaped poll; it claims nothing."""
        body = ScheduledRunsOfPool(work_queue_names=work_queue_names, scheduled_before=scheduled_before, limit=limit)
        path = f"/work_pools/{name}/get_scheduled_flow_runs"
        return await self.call("POST", path, body=body, reply=list[ScheduledRun])
