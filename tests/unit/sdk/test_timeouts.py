"""Time limits on the main thread, on other threads, in async code, and one inside another."""

import asyncio
import threading
import time
from typing import Any

import pytest

from headway.sdk.states import RunTimeout
from headway.sdk.timeouts import call_within, within


def test_what_is_in_time_gives_its_value() -> None:
    assert call_within(30, lambda x: x + 1, 2) == 3
    assert asyncio.run(within(30, asyncio.sleep(0, 5))) == 5


def test_a_sleeping_main_thread_is_interrupted() -> None:
    started = time.monotonic()
    with pytest.raises(RunTimeout, match=r"limit of 0\.1 second"):
        call_within(0.1, time.sleep, 60)
    assert time.monotonic() - started < 10


def test_code_that_swallows_the_interruption_is_interrupted_again() -> None:
    caught = []

    def stubborn() -> None:
        try:
            time.sleep(60)
        except RunTimeout:
            caught.append(1)
        time.sleep(60)

    with pytest.raises(RunTimeout):
        call_within(0.1, stubborn)
    assert caught == [1]


def test_off_the_main_thread_the_code_is_left_behind() -> None:
    outcome: list[Any] = []
    release = threading.Event()

    def limited() -> None:
        try:
            call_within(0.1, release.wait, 60)
        except RunTimeout as error:
            outcome.append(error)

    thread = threading.Thread(target=limited)
    thread.start()
    thread.join(10)
    release.set()
    assert len(outcome) == 1


def test_exceptions_go_through_on_any_thread() -> None:
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        call_within(30, fail)
    outcome: list[BaseException] = []

    def limited() -> None:
        try:
            call_within(30, fail)
        except KeyError as error:
            outcome.append(error)

    thread = threading.Thread(target=limited)
    thread.start()
    thread.join(10)
    assert len(outcome) == 1


def test_a_limit_around_another_goes_on_when_that_one_has_passed() -> None:
    def outer() -> None:
        with pytest.raises(RunTimeout):
            call_within(0.1, time.sleep, 60)
        time.sleep(60)

    with pytest.raises(RunTimeout, match=r"limit of 0\.3"):
        call_within(0.3, outer)


def test_async_code_is_cancelled_and_own_timeouts_are_its_own() -> None:
    with pytest.raises(RunTimeout):
        asyncio.run(within(0.05, asyncio.sleep(60)))

    async def own() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine") as caught:
        asyncio.run(within(30, own()))
    assert not isinstance(caught.value, RunTimeout)
