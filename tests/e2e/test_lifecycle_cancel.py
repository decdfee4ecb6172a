"""Cancelling what nobody but the run itself can stop: its worker is dead, or it is a flow inside another one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from headway.client import SyncClient
from headway.core.settings import Settings
from headway.core.states import StateType
from headway.testing.lifecycle import QUICK, SLEEPY, at_rest, gone, rows, started_pids
from headway.testing.processes import Place
from headway.testing.project import Project
from headway.testing.waiting import eventually
from headway.wire.states import StateCreate

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


def cancel(project: Project, run: UUID) -> None:
    project.api.set_flow_run_state(run, StateCreate(type=StateType.CANCELLING))


@pytest.mark.parametrize("deaf", [False, True])
def test_a_run_whose_worker_is_dead_stops_itself_when_it_is_cancelled(
    place: Place, project: Project, tmp_path: Path, deaf: bool
) -> None:
    pool, marks = project.pool(), tmp_path / "marks"
    marks.mkdir()
    worker = place.worker(pool, **QUICK)
    deployment = project.deploy("sleepy", SLEEPY, pool, concurrency_limit=1)
    run = project.start(deployment, parameters={"marks": str(marks), "deaf": deaf})
    pids = started_pids(marks)
    worker.kill()
    cancel(project, run)
    done = project.until(run, deadline=60)
    assert done.state_type == StateType.CANCELLED
    assert project.history(run) == ["Scheduled", "Pending", "Running", "Cancelling", "Cancelled"]
    eventually(lambda: gone(*pids), 10, "the run's process and its child to be gone")
    eventually(lambda: at_rest(place), 15, "everything it held to be free")


def test_a_flow_inside_another_is_cancelled_alone(place: Place, project: Project, tmp_path: Path) -> None:
    pool, mark = project.pool(), tmp_path / "mark"
    place.worker(pool, **QUICK)
    run = project.start(project.deploy("outer", OUTER, pool), parameters={"mark": str(mark)})
    eventually(mark.exists, 60)
    ((id,),) = rows(place, "select id from flow_run where root_flow_run_id is not null")
    child = UUID(str(id))
    cancel(project, child)
    assert project.until(child, deadline=60).state_type == StateType.CANCELLED
    assert project.until(run).state_type == StateType.COMPLETED
    assert project.history(child) == ["Pending", "Running", "Cancelling", "Cancelled"]
