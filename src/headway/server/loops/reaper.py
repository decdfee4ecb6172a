"""Ends the attempts whose worker and engine are both silent (DESIGN §3, Leases)."""

from __future__ import annotations

from typing import ClassVar

from headway.core.clock import Clock
from headway.core.settings import ServerSettings
from headway.server.loops.base import Loop
from headway.server.services.transitions import terms_of
from headway.server.services.wakes import Wakes
from headway.store.protocols import Attempts

__all__ = ["Reaper"]


class Reaper(Loop):
    """Looks at leases, never at states, and counts only time in which somebody could have been reached.

    A pass that comes much later than it should gives every lease a fresh life instead of ending any: an outage
    never kills a healthy fleet.
    """

    name: ClassVar[str] = "reaper"

    def __init__(self, store: Attempts, clock: Clock, settings: ServerSettings, wakes: Wakes | None = None) -> None:
        super().__init__(settings.lease.reaper_seconds)
        self._store = store
        self._clock = clock
        self._wakes = wakes or Wakes()
        self._terms = terms_of(settings)
        self._longest_gap = settings.lease.longest_gap

    async def run_once(self) -> int:
        """One pass; how many attempts were lost."""
        now = self._clock.now()
        reaped = await self._store.reap(now, self._longest_gap, self._terms)
        self._wakes.heed(reaped.ended, now)
        self._wakes.heard(reaped.orphaned)
        return len(reaped.ended)
