"""Claim, and the polls of the reference's workers."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec

from headway.server.api.routing import Route
from headway.server.services.claims import ClaimService
from headway.wire.base import MAX_LIMIT
from headway.wire.flow_runs import FlowRun
from headway.wire.work_pools import Backlog, ScheduledRun, ScheduledRunsOfPool
from headway.wire.work_queues import ScheduledRunsOfQueue
from headway.wire.workers import ClaimReply, ClaimRequest

Runs = Annotated[msgspec.Raw, list[FlowRun]]


def routes(claims: ClaimService) -> list[Route]:
    async def claim(name: str, body: ClaimRequest) -> ClaimReply:
        """Take the next runs of a pool; the same claim id takes the same ones."""
        return await claims.claim(name, body)

    async def get_scheduled_flow_runs(
        name: str,
        body: ScheduledRunsOfPool = ScheduledRunsOfPool(),  # noqa: B008 - an empty body is the default one
    ) -> Annotated[msgspec.Raw, list[ScheduledRun]]:
        """The runs a claim would take, without taking them."""
        limit = MAX_LIMIT if body.limit is None else body.limit
        queues = body.work_queue_names or []
        return await claims.due_of_pool(name, queues, body.scheduled_before, body.scheduled_after, limit)

    async def get_runs(id: UUID, body: ScheduledRunsOfQueue = ScheduledRunsOfQueue()) -> Runs:  # noqa: B008
        limit = MAX_LIMIT if body.limit is None else body.limit
        return await claims.due_of_queue(id, body.scheduled_before, limit)

    async def backlog(name: str, queue: str | None = None) -> Backlog:
        """What waits and runs in a pool, or in one of its queues, and how much more could: for autoscalers."""
        return await claims.backlog(name, queue)

    return [
        Route("POST", "/work_pools/{name}/claim", claim, tag="Workers"),
        Route("GET", "/work_pools/{name}/backlog", backlog, tag="Work Pools"),
        Route("POST", "/work_pools/{name}/get_scheduled_flow_runs", get_scheduled_flow_runs, tag="Work Pools"),
        Route("POST", "/work_queues/{id}/get_runs", get_runs, tag="Work Queues"),
    ]
