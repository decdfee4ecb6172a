"""Keeps every active schedule filled with its next runs (CONTRACT §3, schedule_deployments)."""

from __future__ import annotations

from headway.server.loops.base import Loop
from headway.server.services.planning import Planner

__all__ = ["SchedulerLoop"]


class SchedulerLoop(Loop):
    """A pass looks for schedules that lack runs. Writing a deployment wakes it, so its runs appear at once."""

    name = "scheduler"

    def __init__(self, planner: Planner, interval: float) -> None:
        super().__init__(interval)
        self._planner = planner

    async def run_once(self) -> int:
        """How many runs this pass made."""
        return await self._planner.fill_all()
