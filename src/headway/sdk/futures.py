"""Futures of task runs, and what is done with them: `wait`, `as_completed`, `unmapped`, `allow_failure`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from headway.core.errors import HeadwayError
from headway.sdk.blocking import lend_place
from headway.sdk.records import TaskRunInfo, TaskRunRecord
from headway.sdk.states import State

__all__ = [
    "SIMPLE",
    "DoneAndNotDone",
    "TaskFuture",
    "TaskFutureList",
    "UpstreamFailed",
    "allow_failure",
    "as_completed",
    "depends_on",
    "resolve",
    "unmapped",
    "wait",
]

R = TypeVar("R")

SIMPLE = frozenset((int, str, float, bool, bytes, type(None)))
"""Types of values that have no future, state or mark in them, and are final as they are."""


class UpstreamFailed(HeadwayError):
    """A task was not run because one it depends on did not complete."""


class TaskFuture(Generic[R]):
    """A task run that was submitted. Await it, or ask for `result()`, in the flow that submitted it."""

    def __init__(self, info: TaskRunInfo) -> None:
        self._info = info
        self._outcome: concurrent.futures.Future[State] = concurrent.futures.Future()

    def __repr__(self) -> str:
        return f"<TaskFuture {self._info.name!r} {self.state!r}>"

    @property
    def task_run_id(self) -> UUID:
        return self._info.id

    @property
    def name(self) -> str:
        return self._info.name

    @property
    def state(self) -> State:
        """The final state, or the newest one known."""
        if self._outcome.done():
            return self._outcome.result()
        assert self._info.state is not None
        return self._info.state

    def done(self) -> bool:
        return self._outcome.done()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the task run has ended, at most `timeout` seconds."""
        _wait([self._outcome], timeout)

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        """The task's return value. Raises what the task raised, or TimeoutError after `timeout` seconds."""
        if not self.done() and not _wait([self._outcome], timeout):
            raise TimeoutError(f"Task run {self.name!r} has not ended within {timeout:g} second(s).")
        value: R = self._outcome.result().result(raise_on_failure)
        return value

    def add_done_callback(self, function: Callable[[TaskFuture[R]], None]) -> None:
        """Call `function` with this future once it is done, on the thread that finished it."""
        self._outcome.add_done_callback(lambda _: function(self))

    def __await__(self) -> Generator[Any, None, R]:
        state = yield from asyncio.wrap_future(self._outcome).__await__()
        value: R = state.result()
        return value

    def abandon(self, state: State) -> TaskRunRecord | None:
        """The run is not waited for any more: its record, unless it has ended. Later records of it are not kept."""
        if self.done() or (self._info.state is not None and self._info.state.is_final()):
            return None
        record = self._info.enter(state)
        self._info.abandoned = True
        return record

    def finish(self, state: State) -> None:
        """Set the final state; what the runner does, once."""
        self._outcome.set_result(state)


class TaskFutureList(list[TaskFuture[R]]):
    """The futures of a `map`."""

    def wait(self, timeout: float | None = None) -> None:
        wait(self, timeout)

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> list[R]:
        """All results in order; `timeout` is for all together."""
        deadline = None if timeout is None else time.monotonic() + timeout
        return [
            future.result(None if deadline is None else max(0.0, deadline - time.monotonic()), raise_on_failure)
            for future in self
        ]


class DoneAndNotDone(NamedTuple):
    done: set[TaskFuture[Any]]
    not_done: set[TaskFuture[Any]]


def wait(futures: Iterable[TaskFuture[Any]], timeout: float | None = None) -> DoneAndNotDone:
    """Wait until all are done, at most `timeout` seconds."""
    wanted = list(futures)
    _wait([future._outcome for future in wanted], timeout)
    done = {future for future in wanted if future.done()}
    return DoneAndNotDone(done, set(wanted) - done)


def as_completed(futures: Iterable[TaskFuture[R]], timeout: float | None = None) -> Iterator[TaskFuture[R]]:
    """The futures in the order in which they end. Raises TimeoutError after `timeout` seconds."""
    wanted = {future._outcome: future for future in futures}
    with lend_place():
        for outcome in concurrent.futures.as_completed(wanted, timeout):
            yield wanted[outcome]


def _wait(outcomes: list[concurrent.futures.Future[State]], timeout: float | None) -> bool:
    """Wait for all; whether any is done."""
    with lend_place():
        return bool(concurrent.futures.wait(outcomes, timeout).done)


class _Mark(Generic[R]):
    """A value with a mark on it; taken off before the task sees it."""

    __slots__ = ("value",)

    def __init__(self, value: R) -> None:
        self.value = value


class unmapped(_Mark[R]):
    """`map` passes the value whole to every task run instead of splitting it."""


class allow_failure(_Mark[R]):
    """The task runs even if this upstream failed, and gets its exception as the value."""


def depends_on(value: Any, found: list[TaskFuture[Any]] | None = None) -> list[TaskFuture[Any]]:
    """All futures in a value: itself, or inside lists, tuples, sets and dicts."""
    found = [] if found is None else found
    if isinstance(value, TaskFuture):
        found.append(value)
    elif isinstance(value, _Mark):
        depends_on(value.value, found)
    elif type(value) in (list, tuple, set, TaskFutureList):
        for item in value:
            depends_on(item, found)
    elif type(value) is dict:
        for item in value.values():
            depends_on(item, found)
    return found


def resolve(value: Any, *, failure_allowed: bool = False) -> Any:
    """The value with futures and states replaced by their results.

    Futures must be done. Raises UpstreamFailed for one that did not complete, unless allowed to fail.
    """
    if isinstance(value, TaskFuture):
        return _upstream(value.state, f"task run {value.name!r}", failure_allowed)
    if isinstance(value, State):
        return _upstream(value, "the run of the given state", failure_allowed)
    if isinstance(value, allow_failure):
        return resolve(value.value, failure_allowed=True)
    if isinstance(value, unmapped):
        return resolve(value.value, failure_allowed=failure_allowed)
    kind = type(value)
    if kind in (list, TaskFutureList):
        return [resolve(item, failure_allowed=failure_allowed) for item in value]
    if kind in (tuple, set):
        return kind(resolve(item, failure_allowed=failure_allowed) for item in value)
    if kind is dict:
        return {key: resolve(item, failure_allowed=failure_allowed) for key, item in value.items()}
    return value


def _upstream(state: State, words: str, failure_allowed: bool) -> Any:
    if not state.is_completed() and not failure_allowed:
        raise UpstreamFailed(f"Upstream {words} did not reach a 'COMPLETED' state (it is {state.name}).")
    return state.result(raise_on_failure=False)
