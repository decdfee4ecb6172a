"""A worker that is told to stop: first it takes no new work and waits, then it stops its runs."""

from __future__ import annotations

import signal
from pathlib import Path

from headway.core.states import StateType
from headway.testing.processes import Place
from headway.testing.project import Project
from headway.testing.waiting import eventually

PATIENT = """
import time
from pathlib import Path
from headway import flow

@flow
def patient(started: str, go_on: str):
    Path(started).touch()
    while not Path(go_on).exists():
        time.sleep(0.05)
"""


def test_the_first_signal_takes_no_new_work_and_waits_for_what_runs(
    site: Place, project: Project, tmp_path: Path
) -> None:
    pool, started, go_on = project.pool(), tmp_path / "started", tmp_path / "go-on"
    worker = site.worker(pool)
    deployment = project.deploy("patient", PATIENT, pool)
    parameters = {"started": str(started), "go_on": str(go_on)}
    run = project.start(deployment, parameters=parameters)
    eventually(started.exists, 60)
    worker.signal(signal.SIGTERM)
    worker.wait_for("no new work; waiting for 1 running")
    later = project.start(deployment, parameters=parameters)
    go_on.touch()
    assert worker.wait(60) == 0
    assert project.until(run).state_type == StateType.COMPLETED
    assert project.api.read_flow_run(later).state_type == StateType.SCHEDULED
    assert worker.out[-1] == "Worker stopped."


def test_the_second_signal_stops_what_runs(site: Place, project: Project, tmp_path: Path) -> None:
    pool, started = project.pool(), tmp_path / "started"
    worker = site.worker(pool)
    deployment = project.deploy("patient", PATIENT, pool)
    run = project.start(deployment, parameters={"started": str(started), "go_on": str(tmp_path / "never")})
    eventually(started.exists, 60)
    worker.signal(signal.SIGTERM)
    worker.wait_for("waiting for 1 running")
    worker.signal(signal.SIGTERM)
    worker.wait_for("stopping what is running")
    assert worker.wait(60) == 0
    assert project.until(run).state_type == StateType.CRASHED
