"""Keeps the status of workers, pools, queues and deployments true (CONTRACT §2.4, Foreman)."""

from __future__ import annotations

from datetime import timedelta

from headway.core.clock import Clock
from headway.server.loops.base import Loop
from headway.store.protocols import PoolStatus, StatusChanges

__all__ = ["PoolStatusLoop"]

MISSED_HEARTBEATS = 3
"""So many intervals without a heartbeat, and a worker is OFFLINE."""


class PoolStatusLoop(Loop):
    """Workers by heartbeat; pools by their workers; queues and deployments by when they were last polled."""

    name = "status"

    def __init__(self, store: PoolStatus, clock: Clock, interval: float, silence: float) -> None:
        """`silence`: seconds after which a queue or deployment that nobody polled is NOT_READY."""
        super().__init__(interval)
        self._store = store
        self._clock = clock
        self._silence = timedelta(seconds=silence)

    async def run_once(self) -> StatusChanges:
        now = self._clock.now()
        return await self._store.refresh(now, MISSED_HEARTBEATS, now - self._silence)
