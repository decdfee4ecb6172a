"""Beats for all loops of a replica on PostgreSQL, so that a replica with nothing to do asks once, not once per loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from headway.core.clock import AdjustedClock, Clock
from headway.core.settings import ServerSettings
from headway.server.loops.base import Loop
from headway.server.loops.pool_status import MISSED_HEARTBEATS
from headway.server.services.wakes import Wakes
from headway.store.protocols import Beat, Limits, Pulses

__all__ = ["Pulse", "adjust"]

EVERY_SECONDS = 1.5
"""At most so late is found what nobody was told of; and one statement in this time is what an idle replica costs."""

REST = 60
"""Loops that the pulse wakes look by themselves so many times less often."""


class Pulse(Loop):
    """Wakes each of `loops` when there is something for it to do, no more often than its own interval says.

    It also tells who waits in a pool when a run falls due there, and keeps the clock on the database's time.
    """

    name: ClassVar[str] = "pulse"

    def __init__(
        self, store: Pulses, loops: Sequence[Loop], wakes: Wakes, clock: Clock, settings: ServerSettings
    ) -> None:
        self._loops = {loop.name: loop for loop in loops if loop.name in store.LOOPS}
        self._intervals = {name: loop.interval for name, loop in self._loops.items()}
        super().__init__(min([EVERY_SECONDS, *self._intervals.values()]))
        for loop in self._loops.values():
            loop.interval *= REST
        self._woken: dict[str, float] = {}
        self._store = store
        self._wakes = wakes
        self._clock = clock
        self._limits = Limits(
            longest_gap=settings.lease.longest_gap,
            late_after=settings.late_after_seconds,
            silence=settings.queue_silence_seconds,
            missed_heartbeats=MISSED_HEARTBEATS,
            ahead=2 * self.interval,
            unvouched=settings.lease.ttl_seconds / 2,
        )

    async def run_once(self) -> Beat:
        now = self._clock.now()
        before = asyncio.get_running_loop().time()
        beat = await self._store.beat(now, self._limits, self._wakes.pools)
        took = asyncio.get_running_loop().time() - before
        adjust(self._clock, beat.time, took)
        self._rouse(beat, now)
        return beat

    def _rouse(self, beat: Beat, now: datetime) -> None:
        time = asyncio.get_running_loop().time()
        for name in beat.loops & self._loops.keys():
            if time >= self._woken.get(name, 0.0) + self._intervals[name] - self.interval / 2:
                self._woken[name] = time
                self._loops[name].wake()
        for pool, due in beat.falls_due.items():
            self._wakes.due_in(pool, (due - now).total_seconds())


def adjust(clock: Clock, time: datetime, took: float) -> None:
    """Set the clock to a time that the database told, `took` seconds after it was asked; frozen clocks stay."""
    if isinstance(clock, AdjustedClock):
        clock.adjust(time, took)
