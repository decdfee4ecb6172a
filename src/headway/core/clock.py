"""Time as a dependency: everything that asks for the time asks a `Clock`, so tests can freeze it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["AdjustedClock", "Clock", "SystemClock"]


class Clock(Protocol):
    def now(self) -> datetime:
        """The current time, timezone-aware, in UTC."""
        ...


class SystemClock:
    """The time of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class AdjustedClock:
    """The time of another machine, as far as it is known: this machine's, and what the other one was ahead."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def adjust(self, time: datetime, took: float) -> None:
        """The other machine said that it is `time`, and the answer took so many seconds to come.

        What may be the time that the answer took is not corrected.
        """
        ahead = time - (datetime.now(UTC) - timedelta(seconds=took / 2))
        if abs(ahead - self._ahead) > timedelta(seconds=took / 2):
            self._ahead = ahead
