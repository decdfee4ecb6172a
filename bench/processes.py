"""What /proc says about a process and everything below it: CPU time and memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on; empty when the process is gone."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def tree(root: int) -> list[int]:
    """`root` and all its living descendants."""
    parents: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            parents.setdefault(int(stat[1]), []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo.extend(parents.get(pid, []))
    return found


def having(text: str) -> list[int]:
    """Processes that were started with `text` in their environment, wherever they stand in the tree by now."""
    wanted, found = text.encode(), []
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                if wanted in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def cpu_seconds(root: int) -> float:
    """User and system time that `root`, its living descendants and the children they have reaped have used."""
    total = 0
    for pid in tree(root):
        if stat := _stat(pid):
            total += sum(int(field) for field in stat[11:15])  # utime stime cutime cstime
    return total / _TICKS


def rss_mb(pids: Iterable[int]) -> float:
    """Resident memory, in MB."""
    return sum(_kilobytes(pid, "status", "VmRSS:") for pid in pids) / 1024


def pss_mb(pids: Iterable[int]) -> float:
    """Proportional set size: memory shared by n processes counts 1/n for each, in MB."""
    return sum(_kilobytes(pid, "smaps_rollup", "Pss:") for pid in pids) / 1024


def _kilobytes(pid: int, file: str, field: str) -> int:
    try:
        lines = (_PROC / str(pid) / file).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(field)), 0)
