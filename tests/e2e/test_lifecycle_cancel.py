"""Cancelling what nobody but the run itself can stop: its worker is dead, or it is a flow inside another one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest

from headway.client import SyncClient
from headway.core.settings import Settings
from headway.core.states import StateType
from headway.testing.processes import Place
from headway.testing.project import Project
from headway.testing.waiting import eventually
from headway.wire.states import StateCreate

QUICK: dict[str, Any] = {
    "server_lease_ttl_seconds": 4,
    "server_lease_renew_seconds": 0.5,
    "server_lease_reaper_seconds": 0.5,
    "worker_stop_grace_seconds": 2,
}
"""Leases in a fifth of their usual time."""
SLEEPY = """
import os, signal, subprocess, sys, time
from pathlib import Path
from headway import flow

@flow
def sleepy(marks: str, deaf: bool = False):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(marks).write_text(f"{os.getpid()} {child.pid}")
    while True:
        try:
            time.sleep(600)
        except BaseException:
            if not deaf:
                raise
"""
OUTER = """
import time
from pathlib import Path
from headway import flow
from headway.core.errors import CancelledRun

@flow
def inner(mark: str):
    Path(mark).touch()
    time.sleep(600)

@flow
def outer(mark: str):
    try:
        inner(mark)
    except CancelledRun:
        return "went on"
"""


@pytest.fixture
def project(place: Place, tmp_path: Path) -> Iterator[Project]:
    place.server(**QUICK)
    with SyncClient(place.url, settings=Settings(home=place.home)) as api:
        yield Project(tmp_path / "project", api)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def cancel(project: Project, run: UUID) -> None:
    project.api.set_flow_run_state(run, StateCreate(type=StateType.CANCELLING))


def count(place: Place, query: str) -> Any:
    """A number out of the server's database, read from outside."""
    connection = sqlite3.connect(place.home / "headway.db")
    try:
        return connection.execute(query).fetchone()[0]
    finally:
        connection.close()


@pytest.mark.parametrize("deaf", [False, True])
def test_a_run_whose_worker_is_dead_stops_itself_when_it_is_cancelled(
    place: Place, project: Project, tmp_path: Path, deaf: bool
) -> None:
    pool, marks = project.pool(), tmp_path / "marks"
    worker = place.worker(pool, **QUICK)
    deployment = project.deploy("sleepy", SLEEPY, pool, concurrency_limit=1)
    run = project.start(deployment, parameters={"marks": str(marks), "deaf": deaf})
    pids = eventually(lambda: [int(pid) for pid in marks.read_text().split()] if marks.exists() else None, 60)
    worker.kill()
    cancel(project, run)
    done = project.until(run, deadline=15)
    assert done.state_type == StateType.CANCELLED
    assert project.history(run) == ["Scheduled", "Pending", "Running", "Cancelling", "Cancelled"]
    eventually(lambda: all(map(gone, pids)), 10, "the run's process and its child to be gone")
    eventually(lambda: count(place, "select count(*) from slot") == 0, 15, "its slots to be free")
    assert count(place, "select count(*) from live_run") == 0


def test_a_flow_inside_another_is_cancelled_alone(place: Place, project: Project, tmp_path: Path) -> None:
    pool, mark = project.pool(), tmp_path / "mark"
    place.worker(pool, **QUICK)
    run = project.start(project.deploy("outer", OUTER, pool), parameters={"mark": str(mark)})
    eventually(mark.exists, 60)
    (child,) = [UUID(str(id)) for id in ids(place, "select id from flow_run where root_flow_run_id is not null")]
    cancel(project, child)
    assert project.until(child, deadline=15).state_type == StateType.CANCELLED
    assert project.until(run).state_type == StateType.COMPLETED
    assert project.history(child) == ["Pending", "Running", "Cancelling", "Cancelled"]


def ids(place: Place, query: str) -> list[Any]:
    connection = sqlite3.connect(place.home / "headway.db")
    try:
        return [row[0] for row in connection.execute(query)]
    finally:
        connection.close()
