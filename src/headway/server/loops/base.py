"""What every loop of the server shares: one start/stop contract, one way to fail, one way to be woken.

A loop is a `Loop` with a `run_once` that does one bounded pass and keeps nothing between passes that it could not
lose. The order of calls:

1. `start()` begins passes in the background: one at once, then one each `interval` seconds or as soon as `wake`
   is called. Starting twice is harmless.
2. `wake()` asks for a pass now; wakes during a pass make one more pass after it, not many. Harmless at any time,
   from the loop's own event loop.
3. `stop()` lets the pass under way finish (for at most `patience` seconds) and returns when no more will come.
   Stopping twice, or before starting, is harmless; a stopped loop can be started again.

A pass that raises is logged and the loop goes on; the next pass waits longer while failures last. Tests call
`run_once()` with a frozen clock and never start the loop. Each loop has a switch, `HEADWAY_SERVER_LOOPS_<NAME>`;
whoever wires the server does not create a loop that is switched off.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar

from headway.core.errors import HeadwayError

__all__ = ["Loop"]

logger = logging.getLogger("headway.server.loops")

MAX_BACKOFF = 8
"""While passes fail, the interval grows up to this many times."""


class Loop:
    """A pass repeated in the background. Subclasses set `name` and write `run_once`."""

    name: ClassVar[str]
    """The name of its switch in the settings, e.g. `scheduler`."""

    patience: ClassVar[float] = 10.0

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._stopping = False

    async def run_once(self) -> Any:
        """One bounded pass; what it returns is for tests and for whoever calls it by hand."""
        raise NotImplementedError

    @property
    def stopping(self) -> bool:
        """True once `stop` was called: a long pass should come to its end."""
        return self._stopping

    def wake(self) -> None:
        """Ask for a pass now instead of at the end of the interval."""
        self._wake.set()

    async def start(self) -> None:
        if self._task is None or self._task.done():
            self._stopping = False
            self._task = asyncio.create_task(self._repeat(), name=f"headway-loop-{self.name}")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping = True
        self.wake()
        done, _ = await asyncio.wait({task}, timeout=self.patience)
        if not done:
            task.cancel()
            await asyncio.wait({task})

    async def _repeat(self) -> None:
        failures = 0
        while not self._stopping:
            self._wake.clear()
            try:
                await self.run_once()
                failures = 0
            except HeadwayError as error:
                failures += 1
                logger.warning("The %s loop could not do its pass: %s", self.name, error.message)
            except Exception:
                failures += 1
                logger.exception("The %s loop failed; it will try again.", self.name)
            await self._rest(self.interval * min(2**failures, MAX_BACKOFF))

    async def _rest(self, seconds: float) -> None:
        if self._stopping:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
