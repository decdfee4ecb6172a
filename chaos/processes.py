"""Processes as the machine knows them: who carries a marker, who still lives. Reads /proc, nothing else."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MARKER", "Seen", "born", "carrying", "lives", "send", "until_gone"]

PROC = Path("/proc")
MARKER = "CHAOS_MARKER"


@dataclass(frozen=True, slots=True)
class Seen:
    """A living process: its start in clock ticks since boot, its worker (if it descends from one), its command."""

    pid: int
    born: int
    worker: str | None
    command: str


def born(pid: int) -> int | None:
    """When a living process started; None if there is none, or only a zombie."""
    try:
        rest = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if rest[0] in (b"Z", b"X") else int(rest[19])


def lives(pid: int, start: int | None) -> bool:
    found = born(pid)
    return found is not None and (start is None or found == start)


def carrying(marker: str, worker: str | None = None) -> list[Seen]:
    """The living processes in whose environment the marker is (and the worker, if one is named)."""
    found = []
    wanted = f"{MARKER}={marker}".encode()
    for entry in PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
            if wanted not in variables:
                continue
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        start = born(int(entry.name))
        whose = next((v.partition(b"=")[2].decode() for v in variables if v.startswith(b"CHAOS_WORKER=")), None)
        if start is not None and worker in (None, whose):
            found.append(Seen(int(entry.name), start, whose, command))
    return found


def send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def until_gone(marker: str, seconds: float) -> list[Seen]:
    """Wait until nobody carries the marker; who still does at the end."""
    deadline = time.monotonic() + seconds
    while True:
        left = carrying(marker)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)
