"""/work_pools: the pools themselves (queues and workers have files of their own)."""

from __future__ import annotations

from headway.server.api.routing import Route
from headway.server.services.filtering import criteria_of
from headway.server.services.work_pools import WorkPoolService
from headway.wire.base import MAX_LIMIT
from headway.wire.work_pools import (
    WorkPool,
    WorkPoolConcurrency,
    WorkPoolConcurrencyQuery,
    WorkPoolCount,
    WorkPoolCreate,
    WorkPoolQuery,
    WorkPoolUpdate,
)

SHOWN_RUNS = 10


def routes(pools: WorkPoolService) -> list[Route]:
    async def create(body: WorkPoolCreate) -> WorkPool:
        """Create a pool with its `default` queue; 409 if the name is taken, 403 if it starts with "prefect"."""
        return await pools.create(body)

    async def read(name: str) -> WorkPool:
        return await pools.read(name)

    async def update(name: str, body: WorkPoolUpdate) -> None:
        """Change a pool; another `type` is refused (409)."""
        await pools.update(name, body)

    async def delete(name: str, force: bool = False) -> None:
        """Delete a pool; 409 while runs wait or run, unless `force`, which cancels them first."""
        await pools.delete(name, force=force)

    async def filter(body: WorkPoolQuery = WorkPoolQuery()) -> list[WorkPool]:  # noqa: B008
        limit = MAX_LIMIT if body.limit is None else body.limit
        return await pools.page(criteria_of(work_pools=body.work_pools), limit, body.offset or 0)

    async def count(body: WorkPoolCount = WorkPoolCount()) -> int:  # noqa: B008
        return await pools.count(criteria_of(work_pools=body.work_pools))

    async def concurrency(
        name: str,
        body: WorkPoolConcurrencyQuery = WorkPoolConcurrencyQuery(),  # noqa: B008
    ) -> WorkPoolConcurrency:
        """How much of the pool's limit is used, and by which runs of which queue."""
        limit = MAX_LIMIT if body.limit is None else body.limit
        shown = SHOWN_RUNS if body.flow_run_limit is None else body.flow_run_limit
        return await pools.concurrency(name, body.page or 1, limit, shown)

    return [
        Route("POST", "/work_pools/", create, 201, "Work Pools"),
        Route("GET", "/work_pools/{name}", read, tag="Work Pools"),
        Route("PATCH", "/work_pools/{name}", update, tag="Work Pools"),
        Route("DELETE", "/work_pools/{name}", delete, tag="Work Pools"),
        Route("POST", "/work_pools/filter", filter, tag="Work Pools"),
        Route("POST", "/work_pools/count", count, tag="Work Pools"),
        Route("POST", "/work_pools/{name}/concurrency_status", concurrency, tag="Work Pools"),
    ]
