"""The event loop's lag: watched once somebody asks, and told with the part that the loop's own thread computed."""

from __future__ import annotations

import asyncio
import time

from headway.server.loop_lag import LoopLag


async def _several_ticks(lag: LoopLag) -> dict[str, float]:
    while (told := lag.read(reset=False))["samples"] < 3:
        await asyncio.sleep(0)
    return told


def _compute(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_who_holds_the_loop_is_seen_until_the_next_reset() -> None:
    async def watch() -> tuple[dict[str, float], dict[str, float]]:
        lag = LoopLag()
        assert lag.read(reset=True)["samples"] == 0
        await asyncio.sleep(0)  # the timer is set
        _compute(0.1)
        held = await _several_ticks(lag)
        lag.read(reset=True)
        after = lag.read(reset=False)
        await lag.stop()
        await lag.stop()
        return held, after

    held, after = asyncio.run(watch())
    assert held["max_ms"] >= 90
    assert held["held_max_ms"] >= 90
    assert after == {"samples": 0, "p99_ms": 0, "max_ms": 0, "held_p99_ms": 0, "held_max_ms": 0}
