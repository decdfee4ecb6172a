"""Who owns a run when workers and processes die or freeze: one at a time, and nobody for no longer than a lease."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from headway.client import SyncClient
from headway.core.settings import Settings
from headway.core.states import StateType
from headway.testing.lifecycle import QUICK, SLEEPY, at_rest, gone, rows, started_pids
from headway.testing.processes import Place
from headway.testing.project import Project
from headway.testing.waiting import eventually
from headway.wire.states import StateCreate

NOTED = """
from pathlib import Path
from headway import flow

@flow
def noted(book: str, name: str):
    with open(book, "a") as file:
        file.write(name + "\\n")
"""
TRIED = """
import os, signal
from pathlib import Path
from headway import flow

@flow(retries=3, retry_delay_seconds=0)
def tried(script: str, book: str):
    with open(book, "a") as file:
        file.write("try\\n")
    number = len(Path(book).read_text().split())
    if script[number - 1] == "k":
        os.kill(os.getpid(), signal.SIGKILL)
    if script[number - 1] == "f":
        raise RuntimeError("failed as it was told")
"""


@pytest.fixture
def project(place: Place, tmp_path: Path) -> Iterator[Project]:
    place.server(**QUICK)
    with SyncClient(place.url, settings=Settings(home=place.home)) as api:
        yield Project(tmp_path / "project", api)


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


@pytest.mark.both_databases
def test_a_run_that_dies_with_its_worker_is_tried_again_by_the_next_one(
    place: Place, project: Project, marks: Path
) -> None:
    pool = project.pool()
    worker = place.worker(pool, **QUICK)
    run = project.start(project.deploy("sleepy", SLEEPY, pool, retries=1), parameters={"marks": str(marks)})
    pid, child = started_pids(marks)
    project.until(run, "RUNNING")
    shim = psutil.Process(pid).parent()
    assert shim is not None
    worker.kill()
    shim.kill()
    os.kill(pid, signal.SIGKILL)
    assert project.until(run, "CRASHED", "AwaitingRetry", deadline=30).state_name == "AwaitingRetry"
    assert rows(place, "select 1 from slot") == []
    place.worker(pool, **QUICK)
    second = started_pids(marks, 2)
    eventually(lambda: gone(child), 30, "the first try's child to be ended")
    project.api.set_flow_run_state(run, StateCreate(type=StateType.CANCELLING))
    assert project.until(run).state_type == StateType.CANCELLED
    eventually(lambda: gone(*second) and at_rest(place), 60)


def test_what_was_frozen_beyond_its_lease_finds_another_owner_and_ends(
    place: Place, project: Project, marks: Path
) -> None:
    pool = project.pool()
    frozen = place.worker(pool, "--name", "frozen", **QUICK)
    run = project.start(project.deploy("sleepy", SLEEPY, pool, retries=1), parameters={"marks": str(marks)})
    pid, child = started_pids(marks)
    project.until(run, "RUNNING")
    os.kill(pid, signal.SIGSTOP)
    frozen.signal(signal.SIGSTOP)
    try:
        project.until(run, "AwaitingRetry", deadline=30)
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: gone(pid, child), 10, "the engine that was told 410 to end with its group")
    frozen.signal(signal.SIGCONT)
    second = started_pids(marks, 2)
    project.api.set_flow_run_state(run, StateCreate(type=StateType.CANCELLING))
    assert project.until(run).state_type == StateType.CANCELLED
    names = ["Scheduled", "Pending", "Running", "Crashed", "AwaitingRetry", "Pending", "Running"]
    assert project.history(run) == [*names, "Cancelling", "Cancelled"]
    eventually(lambda: gone(*second) and at_rest(place), 60)


@pytest.mark.both_databases
def test_two_workers_race_for_forty_runs_and_each_is_run_once(place: Place, project: Project, tmp_path: Path) -> None:
    pool, book = project.pool(), tmp_path / "book"
    deployment = project.deploy("noted", NOTED, pool, job_variables={"isolation": "inline"})
    runs = {f"n{i}": project.start(deployment, parameters={"book": str(book), "name": f"n{i}"}) for i in range(40)}
    for name in ("one", "two"):
        place.worker(pool, "--name", name, "--limit", "3", **QUICK)
    for run in runs.values():
        project.until(run, "COMPLETED", deadline=90)
    assert Counter(book.read_text().split()) == dict.fromkeys(runs, 1)
    assert rows(place, "select count(*), max(number) from attempt") == [(40, 1)]
    eventually(lambda: at_rest(place), 60)


@pytest.mark.parametrize(
    ("script", "end", "tries"), [("fkfc", "COMPLETED", 4), ("kkff", "FAILED", 4), ("ffkk", "CRASHED", 4)]
)
def test_failures_and_crashes_share_one_budget(
    place: Place, project: Project, tmp_path: Path, script: str, end: str, tries: int
) -> None:
    pool, book = project.pool(), tmp_path / "book"
    place.worker(pool, **QUICK)
    deployment = project.deploy("tried", TRIED, pool, retries=3)
    run = project.start(deployment, parameters={"script": script, "book": str(book)})
    assert project.until(run).state_type == end
    assert len(book.read_text().split()) == tries
    eventually(lambda: at_rest(place), 60)
