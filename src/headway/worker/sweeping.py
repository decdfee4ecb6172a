"""Ends what nobody owns: infrastructure of this pool, within reach, whose attempt is over (DESIGN §3, the promise).

A worker may die together with its machine's power, an engine may hang: the control plane gives the run to
another attempt, and the old process is still there. Whoever comes first to where it can be reached stops it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from headway.core.errors import HeadwayError, NotFound
from headway.drivers.base import Driver, Handle
from headway.wire.flow_runs import FlowRun
from headway.wire.states import StateType
from headway.worker.control_plane import ControlPlane
from headway.worker.memory import Memory

__all__ = ["Sweeper", "is_over"]

FAREWELL_SECONDS = 150.0
"""How long a process may take to end by itself after its run has: an engine delivers its last records."""
logger = logging.getLogger("headway.worker")


class Sweeper:
    """`holds` tells whether this worker has the attempt in hand."""

    def __init__(
        self,
        plane: ControlPlane,
        driver: Driver,
        memory: Memory,
        pool: str,
        grace: float,
        holds: Callable[[UUID, int], bool],
    ) -> None:
        self._plane = plane
        self._driver = driver
        self._memory = memory
        self._pool = pool
        self._grace = grace
        self._holds = holds

    async def run(self, every: float) -> None:
        """Sweep now and every so many seconds, whatever happens on the way."""
        while True:
            try:
                await self.sweep()
            except HeadwayError as error:
                logger.debug("Sweeping was put off: %s", error.message)
            except Exception:
                logger.exception("Sweeping broke")
            await asyncio.sleep(every)

    async def sweep(self) -> int:
        """End what is nobody's; how many that were."""
        ended = 0
        for handle in await self._driver.find(self._pool):
            if self._owned(handle) or not await self._is_over(handle):
                continue
            if self._owned(handle):  # it was adopted while the server was asked
                continue
            logger.warning("Ending %s, left behind by attempt %d of flow run %s", *told(handle))
            await self._driver.stop(handle, self._grace)
            await self._driver.release(handle)
            ended += 1
        return ended

    def _owned(self, handle: Handle) -> bool:
        key = (handle.flow_run_id, handle.attempt)
        return self._holds(*key) or self._memory.is_kept_by_living(*key)

    async def _is_over(self, handle: Handle) -> bool:
        try:
            run = await self._plane.read_flow_run(handle.flow_run_id)
        except NotFound:
            return True
        return is_over(run, handle.attempt, datetime.now(UTC))


def told(handle: Handle) -> tuple[str, int, UUID]:
    return handle.pid, handle.attempt, handle.flow_run_id


def is_over(run: FlowRun, attempt: int, now: datetime) -> bool:
    """Whether the process of this attempt has nothing left to do."""
    if run.attempt is not None and run.attempt > attempt:
        return True
    if run.state_type in (StateType.CRASHED, StateType.CANCELLED):
        return True
    if run.state_type in (StateType.COMPLETED, StateType.FAILED):
        return run.end_time is not None and (now - run.end_time).total_seconds() > FAREWELL_SECONDS
    return False
