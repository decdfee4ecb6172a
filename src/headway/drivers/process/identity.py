"""Which process is which: a pid alone is reused, pid + start time + boot is not. Reads /proc.

Where there is no /proc, start times are 0 and boots are "", so a pid stands for itself and only process
groups can be found.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ProcessId", "boot_id", "family", "kill", "orphaned_sessions", "reap", "until_ended"]

PROC = Path("/proc")
FALLBACK_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process, for ever. `start_time` is in clock ticks since boot."""

    pid: int
    start_time: int

    def lives(self) -> bool:
        """Whether it runs (a zombie has ended)."""
        found = stat(self.pid)
        if found is None and not PROC.is_dir():
            return exists(self.pid)
        return found is not None and found.start_time == self.start_time and found.state not in "ZX"


@dataclass(frozen=True, slots=True)
class Stat:
    pid: int
    state: str
    parent: int
    session: int
    start_time: int


def stat(pid: int) -> Stat | None:
    """The interesting part of /proc/PID/stat."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)  # asked many times in a run's life; a Path costs more than that
        try:
            rest = os.read(fd, 4096).rpartition(b")")[2].split()
        finally:
            os.close(fd)
    except OSError:  # also ESRCH: it ended between the two calls
        return None
    return Stat(pid, rest[0].decode(), int(rest[1]), int(rest[3]), int(rest[19]))


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def boot_id() -> str:
    with suppress(OSError):
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    return ""


def family(session: int, ancestor: int | None) -> list[int]:
    """The living processes of a session and all descendants of `ancestor`, without the ancestor."""
    if not PROC.is_dir():
        return []
    living = [s for s in map(stat, pids()) if s is not None and s.state not in "ZX"]
    found = {s.pid for s in living if s.session == session}
    reached = {ancestor} if ancestor is not None else set()
    while reached:
        reached = {s.pid for s in living if s.parent in reached} - found - {ancestor}
        found |= reached
    # A member of the session may itself have children that left the session.
    grown = {s.pid for s in living if s.parent in found} - found
    while grown:
        found |= grown
        grown = {s.pid for s in living if s.parent in found} - found
    return sorted(found - {ancestor})


def orphaned_sessions() -> set[int]:
    """The sessions with living processes whose leader has ended. No new process gets such a session's number."""
    if not PROC.is_dir():
        return set()
    living = [s for s in map(stat, pids()) if s is not None and s.state not in "ZX"]
    return {s.session for s in living} - {s.pid for s in living}


def pids() -> Iterable[int]:
    return [int(name) for name in os.listdir(PROC) if name.isdigit()]


def kill(members: Iterable[int], number: signal.Signals) -> None:
    for pid in members:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def reap(pid: int) -> None:
    """Collect a child of ours that has ended; harmless on any other pid."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


async def until_ended(process: ProcessId) -> None:
    """Wait until a process, which need not be a child, has ended."""
    if not hasattr(os, "pidfd_open"):
        while process.lives():  # noqa: ASYNC110 -- nothing signals it here
            await asyncio.sleep(FALLBACK_POLL_SECONDS)
        return
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    try:
        if not process.lives():
            return
        loop.add_reader(fd, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(fd)
    finally:
        os.close(fd)
