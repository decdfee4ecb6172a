"""POST /events (CONTRACT §2.5)."""

from __future__ import annotations

import msgspec

from headway.server.api.routing import Caller, Route
from headway.server.api.transitions import fence_of
from headway.server.services.events import EventService

__all__ = ["routes"]


def routes(events: EventService) -> list[Route]:
    async def create_events(body: list[msgspec.Raw], caller: Caller) -> None:
        """Take a list of events in. One that cannot be used is set aside and the others are recorded."""
        await events.take(body, caller.attempt, fence_of(caller))

    return [Route("POST", "/events", create_events, tag="Events")]
