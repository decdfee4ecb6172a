"""Bells ring for what concerns their pool, never get lost between a look and a wait, and end with the server."""

import asyncio
from uuid import uuid4

import pytest

from headway.server.services.wakes import Wakes

LONG = 60.0
POOL, OTHER = uuid4(), uuid4()
pytestmark = pytest.mark.anyio


async def test_a_ring_between_the_look_and_the_wait_is_not_lost():
    wakes = Wakes()
    with wakes.listen(POOL) as bell:
        bell.clear()
        wakes.notify([POOL])
        assert await bell.wait(LONG)


async def test_another_pool_does_not_ring():
    wakes = Wakes()
    with wakes.listen(POOL) as bell:
        wakes.notify([OTHER])
        assert not await bell.wait(0.0)


async def test_a_thousand_listeners_hear_one_ring_and_leave_nothing_behind():
    wakes = Wakes()
    waits = [asyncio.create_task(wakes.wait(POOL, LONG)) for _ in range(1000)]
    await asyncio.sleep(0)
    assert wakes.waiting == 1000
    wakes.notify([POOL])
    assert await asyncio.gather(*waits) == [True] * 1000
    assert wakes.waiting == 0


async def test_the_earliest_due_time_rings():
    wakes = Wakes()
    with wakes.listen(POOL) as bell:
        wakes.due_in(POOL, LONG)
        wakes.due_in(POOL, 0.01)
        wakes.due_in(POOL, LONG)
        assert await bell.wait(LONG)


async def test_a_due_time_that_nobody_waits_for_is_not_kept():
    wakes = Wakes()
    wakes.due_in(POOL, 0.0)
    with wakes.listen(POOL) as bell:
        assert not await bell.wait(0.01)


@pytest.mark.parametrize("late", [False, True])
async def test_closing_answers_everybody_and_nobody_waits_any_more(late):
    wakes = Wakes()
    if late:
        wakes.close()
        assert not await wakes.wait(POOL, LONG)
        return
    wait = asyncio.create_task(wakes.wait(POOL, LONG))
    await asyncio.sleep(0)
    wakes.close()
    assert not await wait


async def test_other_replicas_are_told_of_what_happens_here_only():
    told = []
    wakes = Wakes(lambda pools: told.append(set(pools)))
    wakes.notify([POOL])
    wakes.heard([OTHER])
    assert told == [{POOL}]


async def test_after_a_broken_link_everybody_looks_again():
    wakes = Wakes()
    with wakes.listen(POOL) as one, wakes.listen(OTHER) as two:
        wakes.everyone()
        assert await one.wait(LONG)
        assert await two.wait(LONG)
