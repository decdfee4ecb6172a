"""Drops what is older than it is kept: logs and events by age, ended flow runs only if that is set."""

from __future__ import annotations

from datetime import datetime, timedelta

from headway.core.clock import Clock
from headway.core.settings import RetentionSettings
from headway.server.loops.base import Loop
from headway.store.protocols import Retention

__all__ = ["RetentionLoop"]

BATCH = 500
"""Rows deleted in one transaction, so that no state waits long behind it."""


class RetentionLoop(Loop):
    name = "retention"

    def __init__(self, store: Retention, clock: Clock, settings: RetentionSettings) -> None:
        super().__init__(settings.interval_seconds)
        self._store = store
        self._clock = clock
        self._settings = settings

    async def run_once(self) -> dict[str, int]:
        """How many rows of each kind went; kinds that are kept for ever are left out."""
        now = self._clock.now()
        kept = {
            "logs": self._settings.logs_days,
            "events": self._settings.events_days,
            "flow_runs": self._settings.flow_runs_days,
        }
        return {
            kind: await self._drop(kind, now - timedelta(days=days)) for kind, days in kept.items() if days is not None
        }

    async def _drop(self, kind: str, before: datetime) -> int:
        dropped = 0
        while not self.stopping:
            gone = await self._store.drop(kind, before, BATCH)
            dropped += gone
            if gone < BATCH:
                break
        return dropped
