"""`ProcessPoolTaskRunner`: tasks in processes of their own, for code that holds the interpreter's lock.

Records and logs of the children come back through a queue and go out with the parent's. A child that dies
ends the pool, and the runs it had are Crashed.
"""

from __future__ import annotations

import concurrent.futures
import logging
import multiprocessing
import threading
from concurrent.futures.process import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, cast

from headway.core.settings import Settings
from headway.sdk.context import FLOW, FlowRunContext
from headway.sdk.flows import Flow
from headway.sdk.logs import CAPTURE
from headway.sdk.records import portable
from headway.sdk.session import Session
from headway.sdk.states import State
from headway.sdk.task_engine import execute_blocking
from headway.sdk.task_runners import TaskCall, TaskRunner

__all__ = ["ProcessPoolTaskRunner"]

logger = logging.getLogger("headway.sdk")


class ProcessPoolTaskRunner(TaskRunner):
    """Runs tasks in up to `max_workers` processes (default: one per core).

    Processes are spawned, so a script needs the usual `if __name__ == "__main__":`.
    """

    name = "processes"

    def __init__(self, max_workers: int | None = None) -> None:
        if max_workers is not None and max_workers < 1:
            raise ValueError(f"max_workers must be at least 1, not {max_workers}.")
        self.max_workers = max_workers
        self._pool: ProcessPoolExecutor | None = None
        self._relay: Any = None
        self._reader: threading.Thread | None = None
        self._lock = threading.Lock()

    def duplicate(self) -> ProcessPoolTaskRunner:
        return ProcessPoolTaskRunner(self.max_workers)

    def start(self) -> None:
        return

    def run(self, call: TaskCall) -> concurrent.futures.Future[State]:
        import cloudpickle  # type: ignore[import-untyped]  # loaded when a process is needed

        pool = self._started(call)
        flow = None if call.flow is None else _portable(call.flow)
        payload = cloudpickle.dumps((call.task, call.info, call.parameters, flow))
        outcome: concurrent.futures.Future[State] = concurrent.futures.Future()
        pool.submit(_run_in_child, payload).add_done_callback(lambda done: _hand_over(done, outcome, call))
        return outcome

    def _started(self, call: TaskCall) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._relay = context.Queue()
                self._reader = threading.Thread(
                    target=_forward, args=(self._relay, call.session), name="headway-relay", daemon=True
                )
                self._reader.start()
                self._pool = ProcessPoolExecutor(
                    self.max_workers, context, initializer=_begin, initargs=(self._relay, call.session.settings)
                )
            return self._pool

    def stop(self, *, abandon: bool = False) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is None:
            return
        children = list((pool._processes or {}).values()) if abandon else []
        pool.shutdown(wait=not abandon, cancel_futures=abandon)
        for child in children:
            child.kill()
        self._relay.put(None)
        if self._reader is not None:
            self._reader.join(timeout=10)
        self._relay.close()
        self._relay.join_thread()


def _portable(context: FlowRunContext) -> FlowRunContext:
    """A flow run's context as far as a child needs it: the flow by name, nothing that is bound to this process."""
    named = Flow(_portable, name=context.flow.name, version=context.flow.version)
    return replace(context, flow=named, session=cast(Session, None), runner=None, parent=None, submitted=set())


def _hand_over(
    done: concurrent.futures.Future[bytes], outcome: concurrent.futures.Future[State], call: TaskCall
) -> None:
    import cloudpickle  # loaded when a process is needed

    try:
        state = cloudpickle.loads(done.result())
    except BaseException as error:
        outcome.set_exception(error)
        return
    call.info.state = state
    outcome.set_result(state)


def _forward(relay: Any, session: Any) -> None:
    """Pass on what the children note, on a thread of the parent."""
    while (item := relay.get()) is not None:
        kind, value = item
        (session.records if kind == "record" else session.logs).put(value)


@dataclass(slots=True)
class _Outlet:
    """What a child has instead of a sender."""

    kind: str
    relay: Any

    def put(self, item: Any) -> None:
        self.relay.put((self.kind, portable(item) if self.kind == "record" else item))


@dataclass(slots=True)
class RelaySession:
    """What a child has instead of a session; it has no client of its own."""

    settings: Settings
    records: _Outlet
    logs: _Outlet

    @property
    def log_level(self) -> int:
        return logging.getLevelNamesMapping()[self.settings.log_level]


CHILD: list[RelaySession] = []
"""The relay of this process, if it is a child of a process pool; set once by the pool's initializer."""


def _begin(relay: Any, settings: Settings) -> None:
    CHILD[:] = [RelaySession(settings, _Outlet("record", relay), _Outlet("log", relay))]
    CAPTURE.start(level=settings.log_level, console=False)


def _run_in_child(payload: bytes) -> bytes:
    import cloudpickle  # loaded when a process is needed

    task, info, parameters, flow = cloudpickle.loads(payload)
    session = CHILD[0]
    flow_here: FlowRunContext | None = None if flow is None else replace(flow, session=session)
    FLOW.set(flow_here)
    state = execute_blocking(task, info, parameters, session, flow_here)
    data: bytes = cloudpickle.dumps(state)
    return data
