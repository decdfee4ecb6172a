"""Keeps every active schedule filled with its next runs (CONTRACT §3, schedule_deployments)."""

from __future__ import annotations

from headway.server.loops.base import Loop
from headway.server.services.planning import Planner
from headway.server.services.wakes import Wakes

__all__ = ["SchedulerLoop"]


class SchedulerLoop(Loop):
    """A pass looks for schedules that lack runs. Writing a deployment wakes it, so its runs appear at once."""

    name = "scheduler"

    def __init__(self, planner: Planner, interval: float, wakes: Wakes | None = None) -> None:
        super().__init__(interval)
        self._planner = planner
        self._wakes = wakes or Wakes()

    def wake(self) -> None:
        """A deployment was written: it may lack runs, and those that wait may be free to start."""
        super().wake()
        self._wakes.wake()

    async def run_once(self) -> int:
        """How many runs this pass made."""
        made = await self._planner.fill_all()
        if made:
            self._wakes.wake()  # the first of them may be due before anything that was known
        return made
