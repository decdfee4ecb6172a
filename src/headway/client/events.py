"""Events, in batches."""

from __future__ import annotations

from headway.client.calls import Caller
from headway.wire.events import Event

__all__ = ["EventCalls"]


class EventCalls(Caller):
    async def create_events(self, events: list[Event]) -> None:
        """Send a batch; an event that was sent before is ignored by its id."""
        await self.call("POST", "/events", body=events)
