"""/logs (CONTRACT §1.3, §2.4)."""

from __future__ import annotations

from headway.server.api.paging import limit_of
from headway.server.api.routing import Answer, Caller, Route
from headway.server.api.transitions import fence_of
from headway.server.services.filtering import criteria_of
from headway.server.services.logs import LogService
from headway.wire.logs import Log, LogCreate, LogQuery

__all__ = ["routes"]


def routes(logs: LogService) -> list[Route]:
    async def create(body: list[LogCreate], caller: Caller) -> Answer:
        """Keep log lines; one whose id is known is ignored."""
        await logs.add(body, caller.attempt, fence_of(caller))
        return Answer(201)

    async def filter(body: LogQuery = LogQuery()) -> list[Log]:  # noqa: B008 - an empty body is the default one
        return await logs.page(criteria_of(logs=body.logs), body.sort, limit_of(body.limit), body.offset or 0)

    return [
        Route("POST", "/logs/", create, 201, "Logs"),
        Route("POST", "/logs/filter", filter, tag="Logs"),
    ]
