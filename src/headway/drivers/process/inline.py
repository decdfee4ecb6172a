"""Isolation `inline`: a run as a thread of the worker's own process, for tiny trusted flows.

It ends with the worker, cannot be adopted, and its output is not captured beyond what the engine sends. The
engine is named, not imported: a driver knows nothing of it (DESIGN §2).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib
import os
import socket
import threading
from uuid import UUID, uuid4

from headway.core.errors import DriverError, StartFailed
from headway.drivers.base import Handle, Job, Outcome

__all__ = ["InlineRuns"]

ENGINE = "headway.engine"
Key = tuple[UUID, int]


class Stopped(BaseException):
    """Raised inside the run's thread when it is to stop."""


class InlineRun:
    """One thread. `ended` is set in the worker's loop."""

    def __init__(self, handle: Handle, env: dict[str, str]) -> None:
        self.handle = handle
        self.ended = asyncio.Event()
        self.outcome: Outcome | None = None
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, args=(env,), name=f"run-{handle.flow_run_id}", daemon=True)
        self._thread.start()

    def _run(self, env: dict[str, str]) -> None:
        try:
            code = importlib.import_module(ENGINE).run_inline(env)
            outcome = Outcome(exit_code=code, message=f"Inline run ended with code {code}.")
        except Stopped:
            outcome = Outcome(signal=15, reason="signal", message="Inline run was stopped.")
        except BaseException as error:
            outcome = Outcome(exit_code=1, message=f"Inline run raised {type(error).__name__}: {error}")
        self.outcome = self.outcome or outcome
        with contextlib.suppress(RuntimeError):  # the loop may be closed already
            self._loop.call_soon_threadsafe(self.ended.set)

    def interrupt(self) -> None:
        """Raise `Stopped` in the thread, at its next Python instruction."""
        if self._thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident), ctypes.py_object(Stopped))

    def abandon(self) -> None:
        """Count as ended although the thread, inside a blocking call, cannot be ended; what it still writes
        is refused, because its attempt has ended."""
        if self.outcome is None:
            self.outcome = Outcome(
                reason="abandoned", message="Inline run did not end when asked; its thread was left."
            )
            self.ended.set()


class InlineRuns:
    """The inline runs of one driver."""

    def __init__(self) -> None:
        self.id = uuid4().hex
        self._runs: dict[Key, InlineRun] = {}

    def start(self, job: Job, env: dict[str, str]) -> Handle:
        if job.command:
            raise StartFailed("Isolation 'inline' runs the engine only; remove 'command' or choose 'spawn'.", False)
        key = (job.flow_run_id, job.attempt)
        if key not in self._runs:
            handle = Handle(
                type="process",
                flow_run_id=job.flow_run_id,
                attempt=job.attempt,
                pid=f"{socket.gethostname()}:{os.getpid()}",
                data={"inline": self.id},
            )
            self._runs[key] = InlineRun(handle, env)
        return self._runs[key].handle

    def has(self, handle: Handle) -> bool:
        return handle.data.get("inline") == self.id and (handle.flow_run_id, handle.attempt) in self._runs

    def locate(self, flow_run_id: UUID, attempt: int) -> Handle | None:
        run = self._runs.get((flow_run_id, attempt))
        return run.handle if run else None

    def living(self) -> list[Handle]:
        return [run.handle for run in self._runs.values() if run.outcome is None]

    async def watch(self, handle: Handle) -> Outcome:
        run = self._runs.get((handle.flow_run_id, handle.attempt))
        if run is None:
            raise DriverError(f"Inline run {handle.flow_run_id} is not in this worker's process.")
        await run.ended.wait()
        return run.outcome or Outcome(reason="lost")

    async def stop(self, handle: Handle, grace: float) -> None:
        run = self._runs.get((handle.flow_run_id, handle.attempt))
        if run is None or run.outcome is not None:
            return
        run.interrupt()
        try:
            await asyncio.wait_for(run.ended.wait(), grace)
        except TimeoutError:
            run.abandon()

    def release(self, handle: Handle) -> None:
        self._runs.pop((handle.flow_run_id, handle.attempt), None)
