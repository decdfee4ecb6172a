"""Marks runs that should have been started and were not (CONTRACT §3)."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from headway.core import states
from headway.core.clock import Clock
from headway.core.rules.commands import Propose
from headway.core.settings import ServerSettings
from headway.server.loops.base import Loop
from headway.server.services.transitions import Transitions
from headway.store.protocols import Attempts

__all__ = ["LateRuns"]

BATCH = 500


class LateRuns(Loop):
    """SCHEDULED "Scheduled" and overdue becomes "Late"; a full deployment that cancels new runs cancels it."""

    name: ClassVar[str] = "late"

    def __init__(self, store: Attempts, transitions: Transitions, clock: Clock, settings: ServerSettings) -> None:
        super().__init__(settings.late_interval_seconds)
        self._store = store
        self._transitions = transitions
        self._clock = clock
        self._after = timedelta(seconds=settings.late_after_seconds)

    async def run_once(self) -> int:
        """One pass; how many runs were overdue."""
        overdue = await self._store.late_runs(self._clock.now() - self._after, BATCH)
        await self._transitions.submit_all([Propose(id, states.Late(due), late=True) for id, due in overdue])
        return len(overdue)
