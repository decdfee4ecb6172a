"""Events come in batches: task runs are recorded from them, states are known already, the rest is kept.

Nothing that cannot be used holds up the rest of its batch: it goes to the dead letters, alone, with the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import msgspec

from headway.core.clock import Clock
from headway.core.errors import HeadwayError
from headway.server.services.task_run_reports import (
    MOST_AT_ONCE,
    Recorder,
    Told,
    is_task_run_report,
    letter,
    report_of,
)
from headway.store.protocols import Events, Row
from headway.wire.events import IncomingEvent

__all__ = ["EventService"]

_read = msgspec.json.Decoder(IncomingEvent).decode
_read_any = msgspec.json.Decoder().decode
_STATES = ("prefect.flow-run.", "prefect.task-run.")


class EventService:
    """Takes events in."""

    def __init__(self, recorder: Recorder, events: Events, clock: Clock) -> None:
        self._recorder = recorder
        self._events = events
        self._clock = clock

    async def take(self, batch: Sequence[msgspec.Raw], attempt: int | None) -> None:
        """Record a batch; it may be sent again. `attempt` is the flow run's attempt that reports (DESIGN §3)."""
        now = self._clock.now()
        letters: list[Row] = []
        for start in range(0, len(batch), MOST_AT_ONCE):
            told, others, unreadable = _sorted(batch[start : start + MOST_AT_ONCE], now)
            letters += unreadable
            letters += await self._recorder.record(told, attempt, now)
            await self._keep(others, now)
            await asyncio.sleep(0)
        if letters:
            await self._events.bury(letters)

    async def _keep(self, events: Sequence[IncomingEvent], now: datetime) -> None:
        perhaps = [event.id for event in events if event.event.startswith(_STATES)]
        known = await self._events.states_among(perhaps) if perhaps else set()
        if kept := [_row(event, now) for event in events if event.id not in known]:
            await self._events.add(kept)


def _sorted(batch: Sequence[msgspec.Raw], now: datetime) -> tuple[list[Told], list[IncomingEvent], list[Row]]:
    """What is said of task runs, other events, and letters about what is neither."""
    told: list[Told] = []
    others: list[IncomingEvent] = []
    letters: list[Row] = []
    for raw in batch:
        try:
            event = _read(raw)
            if is_task_run_report(event):
                told.append((raw, report_of(event)))
            else:
                others.append(event)
        except (msgspec.ValidationError, HeadwayError) as error:
            letters.append(letter(raw, str(error), now))
    return told, others, letters


def _row(event: IncomingEvent, now: datetime) -> Row:
    return {
        "id": event.id,
        "occurred": event.occurred,
        "received": now,
        "event": event.event,
        "resource_id": event.resource.get("prefect.resource.id", ""),
        "resource": event.resource,
        "related": event.related,
        "payload": _read_any(event.payload) or {},
        "follows": event.follows,
    }
