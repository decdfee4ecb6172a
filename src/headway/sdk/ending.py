"""Ending this process and what it has started, without waiting for user code."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

__all__ = ["descendants", "end_process", "kill_descendants"]


def descendants(pid: int | None = None) -> list[int]:
    """All living children, their children and so on (Linux; elsewhere none are found)."""
    children: dict[int, list[int]] = {}
    for child, parent, _ in _processes():
        children.setdefault(parent, []).append(child)
    found: list[int] = []
    waiting = [os.getpid() if pid is None else pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.append(child)
            waiting.append(child)
    return found


def _processes() -> Iterator[tuple[int, int, int]]:
    """Pid, parent's pid and process group of every process."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            fields = entry.read_text().rpartition(")")[2].split()
            yield int(entry.parent.name), int(fields[1]), int(fields[2])


def kill_descendants() -> None:
    """SIGKILL to everything this process has started that still lives."""
    _kill(descendants())


def end_process(code: int) -> NoReturn:
    """End this process now, from any thread, with all it has started: its descendants and, if it leads its
    process group, everybody in it.
    """
    _kill(descendants())
    own = os.getpid()
    if os.getpgrp() == own:
        _kill([pid for pid, _, group in _processes() if group == own and pid != own])
    os._exit(code)


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
