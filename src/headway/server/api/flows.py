"""/flows (CONTRACT §1.3)."""

from __future__ import annotations

from uuid import UUID

from headway.server.api.routing import Answer, Route
from headway.server.services.filtering import criteria, page_count
from headway.server.services.flows import FlowService
from headway.wire.base import MAX_LIMIT
from headway.wire.flows import (
    Flow,
    FlowBulkDelete,
    FlowBulkDeleted,
    FlowCount,
    FlowCreate,
    FlowPage,
    FlowPageQuery,
    FlowQuery,
    FlowUpdate,
)


def routes(flows: FlowService) -> list[Route]:
    async def create(body: FlowCreate) -> Answer:
        """Create a flow; an existing one of that name is answered with 200."""
        flow, is_new = await flows.create(body)
        return Answer(201 if is_new else 200, flow)

    async def read(id: UUID) -> Flow:
        return await flows.read(id)

    async def read_by_name(name: str) -> Flow:
        return await flows.read_by_name(name)

    async def update(id: UUID, body: FlowUpdate) -> None:
        await flows.update(id, body)

    async def delete(id: UUID) -> None:
        await flows.delete(id)

    async def bulk_delete(body: FlowBulkDelete) -> FlowBulkDeleted:
        chosen = FlowCount(flows=body.flows)
        return FlowBulkDeleted(deleted=await flows.delete_many(criteria(chosen), body.limit or MAX_LIMIT))

    async def filter(body: FlowQuery = FlowQuery()) -> list[Flow]:  # noqa: B008 - an empty body is the default one
        limit = MAX_LIMIT if body.limit is None else body.limit
        return await flows.page(criteria(body), body.sort, limit, body.offset or 0)

    async def count(body: FlowCount = FlowCount()) -> int:  # noqa: B008
        return await flows.count(criteria(body))

    async def paginate(body: FlowPageQuery = FlowPageQuery()) -> FlowPage:  # noqa: B008
        limit, page = MAX_LIMIT if body.limit is None else body.limit, body.page or 1
        results = await flows.page(criteria(body), body.sort, limit, (page - 1) * limit)
        total = await flows.count(criteria(body))
        return FlowPage(results=results, count=total, limit=limit, pages=page_count(total, limit), page=page)

    return [
        Route("POST", "/flows/", create, 201, "Flows"),
        Route("GET", "/flows/{id}", read, tag="Flows"),
        Route("GET", "/flows/name/{name}", read_by_name, tag="Flows"),
        Route("PATCH", "/flows/{id}", update, tag="Flows"),
        Route("DELETE", "/flows/{id}", delete, tag="Flows"),
        Route("POST", "/flows/bulk_delete", bulk_delete, tag="Flows"),
        Route("POST", "/flows/filter", filter, tag="Flows"),
        Route("POST", "/flows/count", count, tag="Flows"),
        Route("POST", "/flows/paginate", paginate, tag="Flows"),
    ]
