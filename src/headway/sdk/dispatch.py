"""Functions that work in sync and in async code: blocking in the one, awaitable in the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from headway.client.client import Client
from headway.sdk.context import current_context, flow_context
from headway.sdk.effects import Engine, adrive, drive

__all__ = ["in_async_code", "run_engine", "with_client"]

T = TypeVar("T")


def in_async_code() -> bool:
    """Whether the caller can await: inside a run its function says, elsewhere a running event loop does."""
    context = current_context()
    if context is not None:
        return context.is_async
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def run_engine(engine: Engine[T]) -> Any:
    """The engine's value, or its coroutine."""
    return adrive(engine) if in_async_code() else drive(engine)


def with_client(work: Callable[[Client], Coroutine[Any, Any, T]]) -> Any:
    """What `work` makes of a client: the flow run's own inside of one, else a client for this call.

    The value, or in async code a coroutine of it.
    """
    flow = flow_context()
    if flow is not None:
        coroutine = work(flow.session.client)
        if in_async_code():
            return _wrapped(asyncio.wrap_future(flow.session.portal.submit(coroutine)))
        return flow.session.portal.call(coroutine)
    if in_async_code():
        return _alone(work)
    return asyncio.run(_alone(work))


async def _alone(work: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
    async with Client() as client:
        return await work(client)


async def _wrapped(future: Awaitable[T]) -> T:
    return await future
