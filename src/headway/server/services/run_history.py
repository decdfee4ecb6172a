"""Runs over time: how many were in which state, in intervals of equal length (CONTRACT §1.3, history)."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from headway.core.errors import Invalid
from headway.server.services.filtering import criteria_of
from headway.store.protocols import Row, RunTimes
from headway.wire.filters import Scope
from headway.wire.flow_runs import FlowRunHistory, HistoryInterval, HistoryState

__all__ = ["history"]

MAX_INTERVALS = 500
"""More are not shown, whatever `history_end` says (the reference's limit)."""


async def history(times: RunTimes, body: FlowRunHistory, now: datetime) -> list[HistoryInterval]:
    """The intervals from `history_start` on, empty ones included; states of one interval by type and name."""
    if body.history_interval_seconds < 1:
        raise Invalid("History interval must not be less than 1 second.", loc=("body", "history_interval_seconds"))
    try:
        interval = timedelta(seconds=body.history_interval_seconds)
        count = min(max(0, -((body.history_start - body.history_end) // interval)), MAX_INTERVALS)
        starts = [body.history_start + at * interval for at in range(count)]
        end = body.history_start + count * interval
    except OverflowError:
        raise Invalid("The history reaches beyond the calendar.", loc=("body", "history_interval_seconds")) from None
    if count == 0:
        return []
    scopes = {name: getattr(body, name) for name in (*Scope.__struct_fields__, "work_queues")}
    found = await times.history(criteria_of(**scopes), body.history_start, end, interval, now)
    return [_interval(start, interval, _of(found, at)) for at, start in enumerate(starts)]


def _of(found: list[Row], bucket: int) -> list[HistoryState]:
    return [msgspec.convert(row, HistoryState) for row in found if row["bucket"] == bucket]


def _interval(start: datetime, length: timedelta, states: list[HistoryState]) -> HistoryInterval:
    return HistoryInterval(interval_start=start, interval_end=start + length, states=states)
