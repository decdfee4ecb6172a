"""/task_runs, without set_state: that is in api/transitions.py (CONTRACT §1.3)."""

from __future__ import annotations

from uuid import UUID

from headway.server.api.paging import limit_of, page_of
from headway.server.api.routing import Answer, Route
from headway.server.services.filtering import criteria, page_count
from headway.server.services.task_runs import TaskRunService
from headway.wire.flow_runs import FlowRunHistory, HistoryInterval
from headway.wire.task_runs import (
    TaskRun,
    TaskRunCount,
    TaskRunCreate,
    TaskRunPage,
    TaskRunPageQuery,
    TaskRunQuery,
    TaskRunUpdate,
)

__all__ = ["routes"]

TAG = "Task Runs"


def routes(runs: TaskRunService) -> list[Route]:
    async def create(body: TaskRunCreate) -> Answer:
        """Make a task run; one of the same flow run and key is answered with 200."""
        run, is_new = await runs.create(body)
        return Answer(201 if is_new else 200, run)

    async def read(id: UUID) -> TaskRun:
        return await runs.read(id)

    async def update(id: UUID, body: TaskRunUpdate) -> None:
        await runs.update(id, body)

    async def delete(id: UUID) -> None:
        await runs.delete(id)

    async def filter(body: TaskRunQuery = TaskRunQuery()) -> list[TaskRun]:  # noqa: B008 - an empty body is the default
        return await runs.page(criteria(body), body.sort, limit_of(body.limit), body.offset or 0)

    async def count(body: TaskRunCount = TaskRunCount()) -> int:  # noqa: B008
        return await runs.count(criteria(body))

    async def paginate(body: TaskRunPageQuery = TaskRunPageQuery()) -> TaskRunPage:  # noqa: B008
        limit, page, offset = page_of(body.limit, body.page)
        results = await runs.paged(criteria(body), body.sort, limit, offset)
        total = await runs.count(criteria(body))
        return TaskRunPage(results=results, count=total, limit=limit, pages=page_count(total, limit), page=page)

    async def history(body: FlowRunHistory) -> list[HistoryInterval]:
        """How many task runs were in which state, interval by interval."""
        return await runs.history(body)

    return [
        Route("POST", "/task_runs/", create, 201, TAG),
        Route("GET", "/task_runs/{id}", read, tag=TAG),
        Route("PATCH", "/task_runs/{id}", update, tag=TAG),
        Route("DELETE", "/task_runs/{id}", delete, tag=TAG),
        Route("POST", "/task_runs/filter", filter, tag=TAG),
        Route("POST", "/task_runs/count", count, tag=TAG),
        Route("POST", "/task_runs/paginate", paginate, tag=TAG),
        Route("POST", "/task_runs/history", history, tag=TAG),
    ]
