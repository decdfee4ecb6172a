"""Fails pauses that nobody ended in time (CONTRACT §3)."""

from __future__ import annotations

from typing import ClassVar

from headway.core import states
from headway.core.clock import Clock
from headway.core.rules.commands import Propose
from headway.core.settings import ServerSettings
from headway.core.states import StateType
from headway.server.loops.base import Loop
from headway.server.services.transitions import Transitions
from headway.store.protocols import Attempts

__all__ = ["PauseExpiry"]

BATCH = 500


class PauseExpiry(Loop):
    """PAUSED past its `pause_timeout` becomes FAILED."""

    name: ClassVar[str] = "pauses"

    def __init__(self, store: Attempts, transitions: Transitions, clock: Clock, settings: ServerSettings) -> None:
        super().__init__(settings.pauses_interval_seconds)
        self._store = store
        self._transitions = transitions
        self._clock = clock

    async def run_once(self) -> int:
        """One pass; how many pauses had run out."""
        expired = await self._store.expired_pauses(self._clock.now(), BATCH)
        failed = states.Failed("The run was paused and never resumed.")
        await self._transitions.submit_all([Propose(id, failed, only_from=StateType.PAUSED) for id in expired])
        return len(expired)
