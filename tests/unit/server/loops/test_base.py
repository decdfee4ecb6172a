from __future__ import annotations

import asyncio
import logging

import pytest

from headway.core.errors import Unavailable
from headway.server.loops.base import Loop


class Counting(Loop):
    name = "counting"

    def __init__(self, interval: float = 3600.0, fail_with: Exception | None = None) -> None:
        super().__init__(interval)
        self.passes = 0
        self.fail_with = fail_with
        self.changed = asyncio.Condition()

    async def run_once(self) -> None:
        async with self.changed:
            self.passes += 1
            self.changed.notify_all()
        if self.fail_with is not None:
            raise self.fail_with

    async def reach(self, passes: int) -> None:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: self.passes >= passes)


def test_stopping_before_starting_and_twice_is_harmless() -> None:
    async def scenario() -> int:
        loop = Counting()
        await loop.stop()
        await loop.start()
        await loop.start()
        await loop.reach(1)
        await loop.stop()
        await loop.stop()
        return loop.passes

    assert asyncio.run(scenario()) == 1


def test_a_wake_brings_the_next_pass_forward_and_a_stopped_loop_starts_again() -> None:
    async def scenario() -> int:
        loop = Counting()
        await loop.start()
        await loop.reach(1)
        loop.wake()
        await loop.reach(2)
        await loop.stop()
        loop.wake()
        await loop.start()
        await loop.reach(3)
        await loop.stop()
        return loop.passes

    assert asyncio.run(scenario()) == 3


@pytest.mark.parametrize("error", [ValueError("surprise"), Unavailable("the database is busy")])
def test_a_pass_that_fails_is_logged_and_the_loop_goes_on(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> int:
        loop = Counting(interval=0.001, fail_with=error)
        await loop.start()
        await loop.reach(3)
        await loop.stop()
        return loop.passes

    with caplog.at_level(logging.WARNING, "headway.server.loops"):
        assert asyncio.run(scenario()) >= 3
    assert "counting" in caplog.text
    assert str(error) in caplog.text


def test_stop_waits_for_the_pass_under_way_but_not_for_ever() -> None:
    class Stuck(Counting):
        patience = 0.01

        async def run_once(self) -> None:
            await super().run_once()
            await asyncio.Event().wait()

    async def scenario() -> bool:
        loop = Stuck()
        await loop.start()
        await loop.reach(1)
        async with asyncio.timeout(10):
            await loop.stop()
        return True

    assert asyncio.run(scenario())
