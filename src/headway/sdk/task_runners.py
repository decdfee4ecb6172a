"""Where submitted tasks run. A runner is started once, gets calls, and is stopped once.

The interface is small so that others can be plugged in: `start()`, `run(call)` which returns a future of the
final state, `stop()`. `run` must be safe from any thread; a call's dependencies are already resolved.
"""

from __future__ import annotations

import abc
import concurrent.futures
import contextvars
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headway.sdk.blocking import works_for
from headway.sdk.states import State

if TYPE_CHECKING:
    from headway.sdk.context import FlowRunContext
    from headway.sdk.records import TaskRunInfo
    from headway.sdk.tasks import Task

__all__ = ["TaskCall", "TaskRunner", "ThreadPoolTaskRunner"]

MOST_THREADS = 256


@dataclass(slots=True, kw_only=True)
class TaskCall:
    """One task run to execute: its task, its record, its resolved parameters, and where it belongs.

    `execute()` runs it in this process, on this thread, and returns the final state.
    """

    task: Task[Any, Any]
    info: TaskRunInfo
    parameters: dict[str, Any]
    session: Any
    flow: FlowRunContext | None
    context: contextvars.Context
    execute: Callable[[], State]


class TaskRunner(abc.ABC):
    """Base of all task runners."""

    name = "runner"

    @abc.abstractmethod
    def start(self) -> None:
        """Get ready; called before the first `run`."""

    @abc.abstractmethod
    def run(self, call: TaskCall) -> concurrent.futures.Future[State]:
        """Have the call executed; the future ends with its final state, or with what broke the runner."""

    @abc.abstractmethod
    def stop(self, *, abandon: bool = False) -> None:
        """Wait for what runs and give everything back; with `abandon`, wait for nothing. Twice is harmless."""

    @abc.abstractmethod
    def duplicate(self) -> TaskRunner:
        """A fresh runner with the same options, for another flow run."""


class ThreadPoolTaskRunner(TaskRunner):
    """Runs tasks on up to `max_workers` threads of this process.

    The threads are daemons: unlike the standard library's pool they never hold up the end of the process,
    which a time limit or a cancellation needs.
    """

    name = "threads"

    def __init__(self, max_workers: int | None = None) -> None:
        if max_workers is not None and max_workers < 1:
            raise ValueError(f"max_workers must be at least 1, not {max_workers}.")
        self.max_workers = max_workers
        self._most = max_workers or MOST_THREADS
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._lent = 0
        self._lock = threading.Lock()
        self._pending: set[concurrent.futures.Future[State]] = set()

    def duplicate(self) -> ThreadPoolTaskRunner:
        return ThreadPoolTaskRunner(self.max_workers)

    def start(self) -> None:
        return

    def run(self, call: TaskCall) -> concurrent.futures.Future[State]:
        future: concurrent.futures.Future[State] = concurrent.futures.Future()
        job = _Job(future, call)
        with self._lock:
            self._pending.add(future)
            if self._idle > 0:
                self._idle -= 1
            elif len(self._threads) < self._most + self._lent:
                self._add_thread()
        self._queue.put(job)
        return future

    def lend(self) -> None:
        """A thread begins to wait for other tasks: one more may work."""
        with self._lock:
            self._lent += 1
            if self._idle == 0 and not self._queue.empty():
                self._add_thread()

    def take_back(self) -> None:
        """It waits no more. A thread too many ends when it is next idle."""
        with self._lock:
            self._lent -= 1

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"headway-task-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        works_for(self)
        while (job := self._queue.get()) is not None:
            job.do()
            with self._lock:
                self._pending.discard(job.future)
                own = threading.current_thread()
                if len(self._threads) > self._most + self._lent and own in self._threads:
                    self._threads.remove(own)
                    return
                self._idle += 1
            del job

    def stop(self, *, abandon: bool = False) -> None:
        if not abandon:
            concurrent.futures.wait(list(self._pending))
        with self._lock:
            threads, self._threads = self._threads, []
            self._idle = 0
        for _ in threads:
            self._queue.put(None)


class _Job:
    __slots__ = ("call", "future")

    def __init__(self, future: concurrent.futures.Future[State], call: TaskCall) -> None:
        self.future, self.call = future, call

    def do(self) -> None:
        try:
            state = self.call.context.run(self.call.execute)
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(state)
