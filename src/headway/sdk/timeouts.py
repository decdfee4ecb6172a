"""Time limits that stop what is running, for sync code on any thread and for async code.

On the main thread an interval timer raises in the midst of what runs, also in `time.sleep`, and again every
second if the code swallowed it. Off the main thread nothing can interrupt a blocking call, so the code
runs on a daemon thread that is left behind when its time is up: it cannot hold up the process's end.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from headway.sdk.states import RunTimeout

__all__ = ["call_within", "interrupt_thread", "within"]

AGAIN_SECONDS = 1.0


def call_within(seconds: float, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """The function's value; RunTimeout after `seconds`."""
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        with _alarm(seconds):
            return function(*arguments, **named)
    return _on_own_thread(seconds, function, arguments, named)


async def within(seconds: float, awaitable: Awaitable[Any]) -> Any:
    """The awaitable's value; RunTimeout after `seconds`."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await awaitable
    except TimeoutError as error:
        if limit.expired() and not isinstance(error, RunTimeout):
            raise RunTimeout(_message(seconds)) from None
        raise


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(_number: int, _frame: Any) -> None:
        raise RunTimeout(_message(seconds))

    started = time.monotonic()
    outer_handler = signal.signal(signal.SIGALRM, ring)
    outer_left, outer_again = signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6), AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, outer_handler)
        if outer_left:  # a limit around this one goes on, at the latest at once
            signal.setitimer(signal.ITIMER_REAL, max(outer_left - (time.monotonic() - started), 1e-3), outer_again)


def _on_own_thread(
    seconds: float, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> Any:
    context = contextvars.copy_context()
    done = threading.Event()
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome[:] = [True, context.run(function, *arguments, **named)]
        except BaseException as error:
            outcome[:] = [False, error]
        finally:
            done.set()

    thread = threading.Thread(target=run, name="headway-limited", daemon=True)
    thread.start()
    if not done.wait(seconds):
        interrupt_thread(thread, RunTimeout)
        raise RunTimeout(_message(seconds))
    succeeded, value = outcome
    if succeeded:
        return value
    raise value


def interrupt_thread(thread: threading.Thread, error: type[BaseException]) -> None:
    """Raise `error` in a thread as soon as it runs Python code again."""
    if thread.ident is not None and thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(error))


def _message(seconds: float) -> str:
    return f"The run exceeded its time limit of {seconds:g} second(s)."
