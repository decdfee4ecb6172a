"""/work_pools/{name}/queues and /work_queues. A PATCH answers 204; its header tells the order of serving."""

from __future__ import annotations

from urllib.parse import quote
from uuid import UUID

from headway.server.api.routing import Answer, Route
from headway.server.services.filtering import criteria_of
from headway.server.services.work_queues import WorkQueueService
from headway.wire.base import MAX_LIMIT, UNSET
from headway.wire.work_queues import (
    WorkQueue,
    WorkQueueConcurrency,
    WorkQueueConcurrencyQuery,
    WorkQueueCreate,
    WorkQueueHealth,
    WorkQueueQuery,
    WorkQueueUpdate,
)

SERVED_ORDER = "headway-served-order"
"""Percent-encoded, because names may be in any script; the same words as the field `served_order`."""
_READABLE = " '\",.:;()!?"


def routes(queues: WorkQueueService) -> list[Route]:
    return [*_of_pools(queues), *_by_id(queues)]


def _of_pools(queues: WorkQueueService) -> list[Route]:
    async def create(work_pool_name: str, body: WorkQueueCreate) -> WorkQueue:
        """Create a queue; `served_order` says which queues come before and after it."""
        return await queues.create(work_pool_name, body)

    async def read(work_pool_name: str, name: str) -> WorkQueue:
        return await queues.read(work_pool_name, name)

    async def update(work_pool_name: str, name: str, body: WorkQueueUpdate) -> Answer:
        return _updated(await queues.update(work_pool_name, name, body))

    async def delete(work_pool_name: str, name: str) -> None:
        """Delete a queue; what waits in it moves to the pool's default queue."""
        await queues.delete(work_pool_name, name)

    async def filter(work_pool_name: str, body: WorkQueueQuery = WorkQueueQuery()) -> list[WorkQueue]:  # noqa: B008
        limit = MAX_LIMIT if body.limit is None else body.limit
        scope = criteria_of(work_pool_queues=body.work_queues)
        return await queues.page_of_pool(work_pool_name, scope, limit, body.offset or 0)

    return [
        Route("POST", "/work_pools/{work_pool_name}/queues", create, 201, "Work Pools"),
        Route("GET", "/work_pools/{work_pool_name}/queues/{name}", read, tag="Work Pools"),
        Route("PATCH", "/work_pools/{work_pool_name}/queues/{name}", update, tag="Work Pools"),
        Route("DELETE", "/work_pools/{work_pool_name}/queues/{name}", delete, tag="Work Pools"),
        Route("POST", "/work_pools/{work_pool_name}/queues/filter", filter, tag="Work Pools"),
    ]


def _by_id(queues: WorkQueueService) -> list[Route]:
    async def create(body: WorkQueueCreate) -> WorkQueue:
        """Create a queue in the pool `default-agent-pool`, as old clients do."""
        return await queues.create_in_agent_pool(body)

    async def read(id: UUID) -> WorkQueue:
        return await queues.read_by_id(id)

    async def read_by_name(name: str) -> WorkQueue:
        return await queues.read_by_name(name)

    async def update(id: UUID, body: WorkQueueUpdate) -> Answer:
        return _updated(await queues.update_by_id(id, body))

    async def delete(id: UUID) -> None:
        await queues.delete_by_id(id)

    async def filter(body: WorkQueueQuery = WorkQueueQuery()) -> list[WorkQueue]:  # noqa: B008
        limit = MAX_LIMIT if body.limit is None else body.limit
        return await queues.page(criteria_of(work_pool_queues=body.work_queues), limit, body.offset or 0)

    async def status(id: UUID) -> WorkQueueHealth:
        return await queues.health(id)

    async def concurrency(
        id: UUID,
        body: WorkQueueConcurrencyQuery = WorkQueueConcurrencyQuery(),  # noqa: B008
    ) -> WorkQueueConcurrency:
        return await queues.concurrency(id, body.page or 1, MAX_LIMIT if body.limit is None else body.limit)

    return [
        Route("POST", "/work_queues/", create, 201, "Work Queues"),
        Route("GET", "/work_queues/{id}", read, tag="Work Queues"),
        Route("GET", "/work_queues/name/{name}", read_by_name, tag="Work Queues"),
        Route("PATCH", "/work_queues/{id}", update, tag="Work Queues"),
        Route("DELETE", "/work_queues/{id}", delete, tag="Work Queues"),
        Route("POST", "/work_queues/filter", filter, tag="Work Queues"),
        Route("GET", "/work_queues/{id}/status", status, tag="Work Queues"),
        Route("POST", "/work_queues/{id}/concurrency_status", concurrency, tag="Work Queues"),
    ]


def _updated(queue: WorkQueue) -> Answer:
    words = "" if queue.served_order is UNSET else str(queue.served_order)
    return Answer(204, None, {SERVED_ORDER: quote(words, safe=_READABLE)})
