"""Work queues, always through their pool."""

from __future__ import annotations

from typing import Any

from headway.client.calls import Caller
from headway.wire.work_queues import WorkQueue, WorkQueueCreate, WorkQueueQuery, WorkQueueUpdate

__all__ = ["WorkQueueCalls"]


class WorkQueueCalls(Caller):
    async def create_work_queue(self, pool: str, queue: WorkQueueCreate) -> WorkQueue:
        return await self.call("POST", f"/work_pools/{pool}/queues", body=queue, reply=WorkQueue)

    async def read_work_queue(self, pool: str, name: str) -> WorkQueue:
        return await self.call("GET", f"/work_pools/{pool}/queues/{name}", reply=WorkQueue)

    async def read_work_queues(self, pool: str, query: WorkQueueQuery | None = None) -> list[WorkQueue]:
        path = f"/work_pools/{pool}/queues/filter"
        return await self.call("POST", path, body=query or WorkQueueQuery(), reply=list[WorkQueue])

    async def update_work_queue(self, pool: str, name: str, update: WorkQueueUpdate) -> None:
        await self.call("PATCH", f"/work_pools/{pool}/queues/{name}", body=update)

    async def delete_work_queue(self, pool: str, name: str, force: bool = False) -> None:
        query: dict[str, Any] = {"force": "true"} if force else {}
        await self.call("DELETE", f"/work_pools/{pool}/queues/{name}", query=query)
