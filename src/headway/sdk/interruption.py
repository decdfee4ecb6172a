"""Interrupting a flow that runs in somebody's script, where the process is not ours to end.

What the control plane says (cancel; the run is lost) reaches the code as an exception: on the main thread by
SIGINT, which also ends a sleep, on other threads as soon as they run Python code again, in async code by
cancelling its task. What the run has started since it began is killed.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from headway.sdk.ending import kill_descendants, now
from headway.sdk.timeouts import interrupt_thread

__all__ = ["Interruption"]


class Interruption:
    """Watches the code of one run. `request` may come from any thread, once or more."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.lost = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[object] | None = None
        self._began = now()

    @contextmanager
    def watched(self, *, is_async: bool) -> Iterator[None]:
        """User code runs in this block, and only in it is it interrupted."""
        self._began = now()
        with self._lock:
            self._thread = threading.current_thread()
            self._task = asyncio.current_task() if is_async else None
        ignored = self._hear_interrupts()
        try:
            yield
        finally:
            if ignored:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
            with self._lock:
                task, self._thread, self._task = self._task, None, None
            if task is not None and self.reason is not None:
                task.uncancel()
            if self.reason is not None:
                self.kill_started()

    def _hear_interrupts(self) -> bool:
        """Whether SIGINT was ignored, as it is for `python my_flow.py &` in a script; then only ours is heard."""
        if threading.current_thread() is not threading.main_thread():
            return False
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            return False
        signal.signal(signal.SIGINT, self._interrupted)
        return True

    def _interrupted(self, *_: object) -> None:
        if self.reason is not None:
            raise KeyboardInterrupt

    def request(self, reason: str, *, lost: bool = False) -> None:
        """Interrupt the code now, if it runs."""
        with self._lock:
            self.reason, self.lost = reason, self.lost or lost
            thread, task = self._thread, self._task
            if thread is None:
                return
            if task is not None:
                task.get_loop().call_soon_threadsafe(task.cancel)
            elif thread is threading.main_thread() and thread.ident is not None:
                signal.pthread_kill(thread.ident, signal.SIGINT)
            else:
                interrupt_thread(thread, KeyboardInterrupt)

    def kill_started(self) -> None:
        """Kill the processes that were started since the code began."""
        kill_descendants(since=self._began)
