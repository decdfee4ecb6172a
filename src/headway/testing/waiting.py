"""Waiting for what another process does: bounded, with a message that says what was last seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["eventually", "eventually_async"]

T = TypeVar("T")
POLL_SECONDS = 0.05


def eventually(predicate: Callable[[], T | None], deadline: float = 30.0, what: str = "") -> T:
    """The first truthy value of `predicate`; AssertionError after `deadline` seconds. An AssertionError of
    the predicate itself counts as "not yet" and is shown in the end."""
    end = time.monotonic() + deadline
    while True:
        last: object
        try:
            value = predicate()
            if value:
                return value
            last = value
        except AssertionError as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"{what or 'condition'} not met within {deadline} s; last: {last!r}")
        time.sleep(POLL_SECONDS)


async def eventually_async(predicate: Callable[[], Awaitable[T | None]], deadline: float = 30.0, what: str = "") -> T:
    """The same for a coroutine function."""
    end = time.monotonic() + deadline
    while True:
        value = await predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what or 'condition'} not met within {deadline} s; last: {value!r}")
        await asyncio.sleep(POLL_SECONDS)
