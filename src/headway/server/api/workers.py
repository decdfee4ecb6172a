"""/work_pools/{name}/workers: registration (Headway's own), heartbeats, leaving."""

from __future__ import annotations

from headway.server.api.routing import Route
from headway.server.services.filtering import plain
from headway.server.services.workers import WorkerService
from headway.wire.base import MAX_LIMIT
from headway.wire.workers import Worker, WorkerHeartbeat, WorkerQuery, WorkerRegister, WorkerRegistered


def routes(workers: WorkerService) -> list[Route]:
    async def register(work_pool_name: str, body: WorkerRegister) -> WorkerRegistered:
        """Admit a worker. 409 with a code: its type is not the pool's, or its name is live; 404: no such pool."""
        return await workers.register(work_pool_name, body)

    async def heartbeat(work_pool_name: str, body: WorkerHeartbeat) -> None:
        await workers.heartbeat(work_pool_name, body)

    async def offline(work_pool_name: str, name: str) -> None:
        """A worker says good-bye: OFFLINE now, not after three missed heartbeats."""
        await workers.offline(work_pool_name, name)

    async def filter(work_pool_name: str, body: WorkerQuery = WorkerQuery()) -> list[Worker]:  # noqa: B008
        limit = MAX_LIMIT if body.limit is None else body.limit
        return await workers.page(work_pool_name, plain(body.workers), limit, body.offset or 0)

    async def delete(work_pool_name: str, name: str) -> None:
        await workers.delete(work_pool_name, name)

    return [
        Route("POST", "/work_pools/{work_pool_name}/workers", register, 201, "Work Pools"),
        Route("POST", "/work_pools/{work_pool_name}/workers/heartbeat", heartbeat, 204, "Work Pools"),
        Route("POST", "/work_pools/{work_pool_name}/workers/{name}/offline", offline, 204, "Work Pools"),
        Route("POST", "/work_pools/{work_pool_name}/workers/filter", filter, tag="Work Pools"),
        Route("DELETE", "/work_pools/{work_pool_name}/workers/{name}", delete, tag="Work Pools"),
    ]
