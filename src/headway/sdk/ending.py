"""Ending this process and what it has started, without waiting for user code."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

__all__ = ["descendants", "end_process", "kill_descendants", "now"]


def descendants(pid: int | None = None, since: float = 0.0) -> list[int]:
    """All living children, their children and so on (Linux; elsewhere none are found).

    `since` leaves out those started before it: seconds since boot, as `now()` gives them.
    """
    children: dict[int, list[int]] = {}
    for child, parent, _, started in _processes():
        if started >= since:
            children.setdefault(parent, []).append(child)
    found: list[int] = []
    waiting = [os.getpid() if pid is None else pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.append(child)
            waiting.append(child)
    return found


def now() -> float:
    """Seconds since boot, for `since`; a little early, for the kernel counts in ticks."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - 0.02 if hasattr(time, "CLOCK_BOOTTIME") else 0.0


def _processes() -> Iterator[tuple[int, int, int, float]]:
    """Pid, parent's pid, process group and start (seconds since boot) of every process."""
    tick = os.sysconf("SC_CLK_TCK")
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            fields = entry.read_text().rpartition(")")[2].split()
            yield int(entry.parent.name), int(fields[1]), int(fields[2]), int(fields[19]) / tick


def kill_descendants(since: float = 0.0) -> None:
    """SIGKILL to everything this process has started (since then) that still lives."""
    _kill(descendants(since=since))


def end_process(code: int) -> NoReturn:
    """End this process now, from any thread, with all it has started: its descendants and, if it leads its
    process group, everybody in it.
    """
    _kill(descendants())
    own = os.getpid()
    if os.getpgrp() == own:
        _kill([pid for pid, _, group, _ in _processes() if group == own and pid != own])
    os._exit(code)


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
