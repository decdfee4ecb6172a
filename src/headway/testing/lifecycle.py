"""What end-to-end tests of a run's life share: quick leases, flows that record themselves, facts read from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil

from headway.store.database import Database
from headway.testing.databases import url_of
from headway.testing.processes import Place
from headway.testing.waiting import eventually

__all__ = ["QUICK", "SLEEPY", "at_rest", "gone", "rows", "started_pids"]

QUICK: dict[str, Any] = {
    "server_lease_ttl_seconds": 6,
    "server_lease_renew_seconds": 0.5,
    "server_lease_reaper_seconds": 0.5,
    "worker_stop_grace_seconds": 2,
}
"""Leases in a third of their usual time."""

SLEEPY = """
import os, subprocess, sys, time
from pathlib import Path
from headway import flow

@flow
def sleepy(marks: str, deaf: bool = False):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    path = Path(marks, f"{len(list(Path(marks).iterdir())) + 1}")
    path.with_suffix(".new").write_text(f"{os.getpid()} {child.pid}")
    path.with_suffix(".new").rename(path)
    while True:
        try:
            time.sleep(600)
        except BaseException:
            if not deaf:
                raise
"""
"""A flow that says in the folder `marks`, in files 1, 2, …, which process and which child of it each try was."""


def started_pids(marks: Path, attempt: int = 1) -> tuple[int, int]:
    """The pids of the try and of its child, once it has begun."""
    path = marks / str(attempt)
    eventually(path.exists, 60, f"try {attempt} to begin")
    pid, child = path.read_text().split()
    return int(pid), int(child)


def gone(*pids: int) -> bool:
    """Whether none of the processes runs any more."""
    return not any(_runs(pid) for pid in pids)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def rows(place: Place, query: str) -> list[tuple[Any, ...]]:
    """What the server's database says, read from outside."""
    database = Database(url_of(place.home))
    try:
        with database.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]
    finally:
        database.engine.dispose()


def at_rest(place: Place) -> bool:
    """Whether nothing is held for any run: no slot, no live attempt, no row of a run that has not ended."""
    held = ("select 1 from slot", "select 1 from live_run", "select 1 from attempt where ended is null")
    return not any(rows(place, query) for query in held)
