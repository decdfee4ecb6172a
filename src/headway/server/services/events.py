"""Events come in batches: task runs are recorded from them, states are known already, the rest is kept.

Nothing that cannot be used holds up the rest of its batch: it goes to the dead letters, alone, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from headway.core.clock import Clock
from headway.core.errors import HeadwayError, Invalid
from headway.core.ids import new_id
from headway.server.services.task_run_reports import is_task_run_report, rows_of
from headway.store.protocols import Events, Recording, Row
from headway.wire.events import IncomingEvent

__all__ = ["EventService"]

_read = msgspec.json.Decoder(IncomingEvent).decode
_read_any = msgspec.json.Decoder().decode
_STATES = ("prefect.flow-run.", "prefect.task-run.")

MAX_RECORDED = 5_000
"""Reports recorded in one transaction; SQLite takes 32,766 values in one statement."""

Report = tuple[msgspec.Raw, Row, Row]


class EventService:
    """Takes events in."""

    def __init__(self, recording: Recording, events: Events, clock: Clock) -> None:
        self._recording = recording
        self._events = events
        self._clock = clock

    async def take(self, batch: Sequence[msgspec.Raw], attempt: int | None) -> None:
        """Record a batch; it may be sent again. `attempt` is the flow run's attempt that reports (DESIGN §3)."""
        now = self._clock.now()
        letters: list[Row] = []
        reports: list[Report] = []
        others: list[IncomingEvent] = []
        for raw in batch:
            try:
                event = _read(raw)
                if is_task_run_report(event):
                    reports.append((raw, *rows_of(event, attempt, now)))
                else:
                    others.append(event)
            except (msgspec.ValidationError, HeadwayError) as error:
                letters.append(_letter(raw, str(error), now))
        for start in range(0, len(reports), MAX_RECORDED):
            letters += await self._record(reports[start : start + MAX_RECORDED], now)
        await self._keep(others, now)
        if letters:
            await self._events.bury(letters)

    async def _record(self, reports: Sequence[Report], now: datetime) -> list[Row]:
        """Record what can be recorded, halving the batch until only the guilty are left; their letters."""
        try:
            orphans = await self._recording.record([(run, state) for _, run, state in reports])
        except Invalid as error:
            if len(reports) == 1:
                return [_letter(reports[0][0], error.message, now)]
            half = len(reports) // 2
            return [*await self._record(reports[:half], now), *await self._record(reports[half:], now)]
        return [
            _letter(reports[at][0], f"Flow run {reports[at][1]['flow_run_id']} does not exist.", now) for at in orphans
        ]

    async def _keep(self, events: Sequence[IncomingEvent], now: datetime) -> None:
        perhaps = [event.id for event in events if event.event.startswith(_STATES)]
        known = await self._events.states_among(perhaps) if perhaps else set()
        if kept := [_row(event, now) for event in events if event.id not in known]:
            await self._events.add(kept)


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


def _letter(raw: msgspec.Raw, reason: str, now: datetime) -> dict[str, Any]:
    return {"id": new_id(), "received": now, "reason": reason, "payload": _read_any(raw)}
