"""How long the event loop was held: the lag of a timer that ticks while somebody asks.

It costs nothing until the first question and stops by itself a minute after the last, so it is the same server
that is measured and that is used. Two figures are kept: `lag`, by how much the tick came late, and `held`, how much of
that the loop's own thread spent computing; the rest is the machine being busy with something else.
"""

from __future__ import annotations

import asyncio
import time

TICK_SECONDS = 0.005
IDLE_SECONDS = 60.0
_KEPT = 200_000


class LoopLag:
    """Start and read it from inside the loop that it watches."""

    def __init__(self) -> None:
        self._lags: list[float] = []
        self._held: list[float] = []
        self._task: asyncio.Task[None] | None = None
        self._asked = 0.0

    def read(self, *, reset: bool) -> dict[str, float]:
        """samples, p99_ms, max_ms, held_p99_ms and held_max_ms since the last reset or the start of watching."""
        self._asked = time.monotonic()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._watch(), name="loop-lag")
        told = {"samples": float(len(self._lags)), **_ends("", self._lags), **_ends("held_", self._held)}
        if reset:
            self._lags, self._held = [], []
        return told

    async def stop(self) -> None:
        """Stop watching; harmless when nobody does."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _watch(self) -> None:
        while time.monotonic() - self._asked < IDLE_SECONDS:
            due, busy = time.perf_counter() + TICK_SECONDS, time.thread_time()
            await asyncio.sleep(TICK_SECONDS)
            late = max(0.0, time.perf_counter() - due)
            if len(self._lags) < _KEPT:
                self._lags.append(late)
                self._held.append(min(late, time.thread_time() - busy))


def _ends(prefix: str, seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {f"{prefix}p99_ms": 0.0, f"{prefix}max_ms": 0.0}
    ranked = sorted(seconds)
    return {f"{prefix}p99_ms": 1000 * ranked[int(len(ranked) * 0.99)], f"{prefix}max_ms": 1000 * ranked[-1]}
