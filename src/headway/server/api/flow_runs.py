"""/flow_runs, without what changes states: that is in api/transitions.py (CONTRACT §1.3)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

import msgspec

from headway.server.api.answers import Raw
from headway.server.api.paging import limit_of, page_of
from headway.server.api.routing import Answer, Caller, Route
from headway.server.api.transitions import fence_of
from headway.server.services.filtering import criteria, page_count
from headway.server.services.flow_run_inputs import FlowRunInputService
from headway.server.services.flow_runs import FlowRunService
from headway.server.services.graph import GraphService
from headway.server.services.logs import LogService
from headway.wire.base import Labels, encode, in_utc
from headway.wire.flow_runs import (
    FlowRun,
    FlowRunBulkDelete,
    FlowRunBulkDeleted,
    FlowRunCount,
    FlowRunCreate,
    FlowRunHistory,
    FlowRunInput,
    FlowRunInputCreate,
    FlowRunInputQuery,
    FlowRunLateness,
    FlowRunPage,
    FlowRunPageQuery,
    FlowRunQuery,
    FlowRunUpdate,
    HistoryInterval,
)
from headway.wire.graph import Graph

__all__ = ["routes"]

_BEGINNING = datetime.min.replace(tzinfo=UTC)
TAG = "Flow Runs"

Runs = Annotated[msgspec.Raw, list[FlowRun]]
RunPage = Annotated[msgspec.Raw, FlowRunPage]


def routes(runs: FlowRunService, inputs: FlowRunInputService, graphs: GraphService, logs: LogService) -> list[Route]:
    return [*_single(runs), *_many(runs), *_inputs(inputs), *_views(runs, graphs, logs)]


def _single(runs: FlowRunService) -> list[Route]:
    async def create(body: FlowRunCreate, caller: Caller) -> Answer:
        """Make a flow run; one with the same idempotency key is answered with 200."""
        run, is_new = await runs.create(body, fence_of(caller))
        return Answer(201 if is_new else 200, run)

    async def read(id: UUID) -> FlowRun:
        return await runs.read(id)

    async def update(id: UUID, body: FlowRunUpdate) -> None:
        await runs.update(id, body)

    async def label(id: UUID, body: Labels) -> None:
        """Add or replace labels."""
        await runs.label(id, body)

    async def delete(id: UUID) -> None:
        await runs.delete(id)

    return [
        Route("POST", "/flow_runs/", create, 201, TAG),
        Route("GET", "/flow_runs/{id}", read, tag=TAG),
        Route("PATCH", "/flow_runs/{id}", update, tag=TAG),
        Route("PATCH", "/flow_runs/{id}/labels", label, tag=TAG),
        Route("DELETE", "/flow_runs/{id}", delete, tag=TAG),
    ]


def _many(runs: FlowRunService) -> list[Route]:
    async def filter(body: FlowRunQuery = FlowRunQuery()) -> Runs:  # noqa: B008 - an empty body is the default
        return await runs.encoded_page(criteria(body), body.sort, limit_of(body.limit), body.offset or 0)

    async def count(body: FlowRunCount = FlowRunCount()) -> int:  # noqa: B008
        return await runs.count(criteria(body))

    async def paginate(body: FlowRunPageQuery = FlowRunPageQuery()) -> RunPage:  # noqa: B008
        limit, page, offset = page_of(body.limit, body.page)
        results, total = await runs.encoded_page_and_count(criteria(body), body.sort, limit, offset)
        counts = {"count": total, "limit": limit, "pages": page_count(total, limit), "page": page}
        return msgspec.Raw(encode({"results": results, **counts}))

    async def history(body: FlowRunHistory) -> list[HistoryInterval]:
        """How many runs were in which state, interval by interval."""
        return await runs.history(body)

    async def lateness(body: FlowRunLateness = FlowRunLateness()) -> Answer:  # noqa: B008
        """Mean lateness in seconds, null if no run matches."""
        return Answer(200, await runs.lateness(criteria(body)))

    async def bulk_delete(body: FlowRunBulkDelete = FlowRunBulkDelete()) -> FlowRunBulkDeleted:  # noqa: B008
        chosen = criteria(FlowRunCount(flow_runs=body.flow_runs))
        return FlowRunBulkDeleted(deleted=await runs.delete_many(chosen, body.limit))

    return [
        Route("POST", "/flow_runs/filter", filter, tag=TAG),
        Route("POST", "/flow_runs/count", count, tag=TAG),
        Route("POST", "/flow_runs/paginate", paginate, tag=TAG),
        Route("POST", "/flow_runs/history", history, tag=TAG),
        Route("POST", "/flow_runs/lateness", lateness, tag=TAG),
        Route("POST", "/flow_runs/bulk_delete", bulk_delete, tag=TAG),
    ]


def _inputs(inputs: FlowRunInputService) -> list[Route]:
    async def create_input(id: UUID, body: FlowRunInputCreate) -> None:
        await inputs.create(id, body)

    async def filter_input(id: UUID, body: FlowRunInputQuery) -> list[FlowRunInput]:
        return await inputs.filter(id, body)

    async def read_input(id: UUID, key: str) -> Answer:
        """The value as plain text."""
        text = await inputs.read(id, key)
        return Answer(200, Raw(text.encode(), "text/plain; charset=utf-8"))

    async def delete_input(id: UUID, key: str) -> None:
        await inputs.delete(id, key)

    return [
        Route("POST", "/flow_runs/{id}/input", create_input, 201, TAG),
        Route("POST", "/flow_runs/{id}/input/filter", filter_input, tag=TAG),
        Route("GET", "/flow_runs/{id}/input/{key}", read_input, tag=TAG),
        Route("DELETE", "/flow_runs/{id}/input/{key}", delete_input, tag=TAG),
    ]


def _views(runs: FlowRunService, graphs: GraphService, logs: LogService) -> list[Route]:
    async def graph(id: UUID, since: datetime = _BEGINNING) -> Graph:
        """What ran in a flow run and what depended on what."""
        return await graphs.of_run(id, in_utc(since))

    async def download_logs(id: UUID) -> Answer:
        """All log lines of a flow run as CSV."""
        run = await runs.read(id)
        name = quote(f"{run.name}-logs.csv", safe="")
        shown = {"content-disposition": f"attachment; filename=\"flow-run-logs.csv\"; filename*=UTF-8''{name}"}
        return Answer(200, Raw(await logs.as_csv(id), "text/csv; charset=utf-8"), shown)

    return [
        Route("GET", "/flow_runs/{id}/graph-v2", graph, tag=TAG),
        Route("GET", "/flow_runs/{id}/logs/download", download_logs, tag=TAG),
    ]
