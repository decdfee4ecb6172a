"""One engine for sync and async: it is a generator that yields effects, and a driver carries them out.

The engine decides (which state, whether to retry, what to record) and never blocks or awaits by itself.
`drive` performs its effects blocking, `adrive` awaiting; they are the only two places that know the difference.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from headway.client.portal import Portal
from headway.sdk.timeouts import call_within, within

__all__ = ["Call", "Effect", "Engine", "Remote", "Sleep", "WaitFor", "adrive", "drive"]

T = TypeVar("T")


class Effect(Protocol):
    """Something to carry out, blocking or awaiting."""

    def now(self) -> Any: ...

    async def later(self) -> Any: ...


Engine = Generator[Effect, Any, T]


class Call:
    """Call user code within a time limit (seconds, or None); async functions are awaited."""

    __slots__ = ("arguments", "function", "named", "timeout")

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: Sequence[Any] = (),
        named: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> None:
        self.function, self.arguments, self.named, self.timeout = function, arguments, named or {}, timeout

    def now(self) -> Any:
        if self.timeout is None:
            return self.function(*self.arguments, **self.named)
        return call_within(self.timeout, self.function, *self.arguments, **self.named)

    async def later(self) -> Any:
        result = self.function(*self.arguments, **self.named)
        if not asyncio.iscoroutine(result) and not isinstance(result, asyncio.Future):
            return result
        if self.timeout is None:
            return await result
        return await within(self.timeout, result)


class Sleep:
    """Let time pass."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = max(0.0, seconds)

    def now(self) -> None:
        time.sleep(self.seconds)

    async def later(self) -> None:
        await asyncio.sleep(self.seconds)


class Remote:
    """Run a coroutine on the session's event loop (where the client lives) and wait for its value."""

    __slots__ = ("coroutine", "portal")

    def __init__(self, portal: Portal, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.portal, self.coroutine = portal, coroutine

    def now(self) -> Any:
        return self.portal.call(self.coroutine)

    async def later(self) -> Any:
        return await asyncio.wrap_future(self.portal.submit(self.coroutine))


class WaitFor:
    """Wait in a blocking function; in async code a thread does the waiting."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function

    def now(self) -> Any:
        return self.function()

    async def later(self) -> Any:
        return await asyncio.to_thread(self.function)


def drive(engine: Engine[T]) -> T:
    """Run an engine to its end, blocking."""
    step: Callable[[], Effect] = engine.__next__
    while True:
        try:
            effect = step()
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            step = _sending(engine, effect.now())
        except BaseException as error:
            step = _throwing(engine, error)


async def adrive(engine: Engine[T]) -> T:
    """Run an engine to its end, awaiting."""
    step: Callable[[], Effect] = engine.__next__
    while True:
        try:
            effect = step()
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            step = _sending(engine, await effect.later())
        except BaseException as error:
            step = _throwing(engine, error)


def _sending(engine: Engine[Any], value: Any) -> Callable[[], Effect]:
    return lambda: engine.send(value)


def _throwing(engine: Engine[Any], error: BaseException) -> Callable[[], Effect]:
    return lambda: engine.throw(error)
