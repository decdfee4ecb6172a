"""Events come in batches: task runs are recorded from them, states are known already, the rest is kept.

Nothing that cannot be used holds up the rest of its batch: it goes to the dead letters, alone, with the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from headway.core.clock import Clock
from headway.core.errors import HeadwayError
from headway.core.rules.facts import Caller
from headway.server.services.fencing import Fences, Kept
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

    def __init__(self, recorder: Recorder, events: Events, clock: Clock, fences: Fences | None = None) -> None:
        self._fences = fences
        self._recorder = recorder
        self._events = events
        self._clock = clock

    async def take(self, batch: Sequence[msgspec.Raw], attempt: int | None, fence: Caller | None = None) -> None:
        """Record a batch; it may be sent again. `attempt` is the flow run's attempt that reports (DESIGN §3).

        Raises FencedError or LeaseLostError if some are of a run that is not the sender's any more; the others count.
        """
        now = self._clock.now()
        letters: list[Row] = []
        for start in range(0, len(batch), MOST_AT_ONCE):
            told, others, unreadable = _sorted(batch[start : start + MOST_AT_ONCE], now)
            letters += unreadable
            about, elsewhere = [report.flow_run_id for _, report in told], [_flow_run_of(event) for event in others]
            kept = Kept({}) if self._fences is None else await self._fences.kept([*about, *elsewhere], fence)
            letters += await self._recorder.record(kept.of(told, about), attempt, now)
            await self._keep(kept.of(others, elsewhere), now)
            kept.close()
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


def _flow_run_of(event: IncomingEvent) -> UUID | None:
    """The flow run that an event is about or names as related."""
    subject = event.resource.get("prefect.resource.id", "")
    name = subject if subject.startswith(_STATES[0]) else event.related_as("flow-run")
    try:
        return None if name is None else UUID(name.rpartition(".")[2])
    except ValueError:
        return None


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
