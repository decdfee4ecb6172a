"""Finishes cancellations that nobody finished (CONTRACT §2.4)."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from headway.core import states
from headway.core.clock import Clock
from headway.core.rules.commands import Propose
from headway.core.settings import ServerSettings
from headway.core.states import StateType
from headway.server.loops.base import Loop
from headway.server.services.transitions import Transitions
from headway.store.protocols import Attempts

__all__ = ["Cancellations"]

BATCH = 500


class Cancellations(Loop):
    """CANCELLING for longer than the time-out becomes CANCELLED; children are cancelled with it."""

    name: ClassVar[str] = "cancellations"

    def __init__(self, store: Attempts, transitions: Transitions, clock: Clock, settings: ServerSettings) -> None:
        super().__init__(settings.cancellations_interval_seconds)
        self._store = store
        self._transitions = transitions
        self._clock = clock
        self._timeout = timedelta(seconds=settings.cancel_timeout_seconds)

    async def run_once(self) -> int:
        """One pass; how many runs were cancelling for too long."""
        stuck = await self._store.stuck_cancellations(self._clock.now() - self._timeout, BATCH)
        await self._transitions.submit_all(
            [Propose(id, states.Cancelled(_message(pid)), only_from=StateType.CANCELLING) for id, pid in stuck]
        )
        return len(stuck)


def _message(infrastructure_pid: str | None) -> str:
    told = "The run was asked to stop, and nobody said that it had."
    return told if infrastructure_pid is None else f"{told} Its infrastructure may still run: {infrastructure_pid}"
