"""Ending this process and what it has started, without waiting for user code."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

__all__ = ["descendants", "end_process", "kill_descendants"]


def descendants(pid: int | None = None) -> list[int]:
    """All living children, their children and so on (Linux; elsewhere none are found)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            fields = entry.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found: list[int] = []
    waiting = [os.getpid() if pid is None else pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.append(child)
            waiting.append(child)
    return found


def kill_descendants() -> None:
    """SIGKILL to everything this process has started that still lives."""
    for child in descendants():
        with suppress(OSError):
            os.kill(child, signal.SIGKILL)


def end_process(code: int) -> None:
    """End this process now, with all it has started: its process group if it leads one, else its descendants.

    Does not return.
    """
    kill_descendants()
    if os.getpgrp() == os.getpid():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with suppress(OSError):
            os.killpg(0, signal.SIGTERM)  # members that are no descendants any more
    os._exit(code)
