"""`serve`: what becomes of runs whose process it started itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headway.client import SyncClient
from headway.core.states import StateType
from headway.testing.processes import Place, Program
from headway.testing.project import Project
from headway.testing.waiting import eventually
from headway.wire.states import StateCreate

SERVED = """
import time
from pathlib import Path
from headway import flow

@flow
def served(mark: str):
    Path(mark).touch()
    time.sleep(600)

if __name__ == "__main__":
    served.serve("here")
"""
STILLBORN = """
import os
if os.environ.get("HEADWAY_FLOW_RUN_ID"):
    os._exit(9)
"""


def serving(site: Place, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The script, with `folder` on the path of every Python it starts."""
    monkeypatch.setenv("PYTHONPATH", str(folder))
    (folder / "serves.py").write_text(SERVED)
    program = site.program(sys.executable, str(folder / "serves.py"))
    program.wait_for("Serving")
    return program


def test_a_run_whose_process_ends_before_it_begins_is_crashed(
    site: Place, api: SyncClient, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.folder / "sitecustomize.py").write_text(STILLBORN)
    serving(site, project.folder, monkeypatch)
    run = project.start(api.read_deployment_by_name("served/here").id, parameters={"mark": "x"})
    done = project.until(run, deadline=30)
    assert done.state_type == StateType.CRASHED
    assert done.state is not None
    assert done.state.message == "Its process ended before the run began."
    assert project.history(run) == ["Scheduled", "Pending", "Crashed"]


def test_a_cancelled_run_is_cancelled_once(
    site: Place, api: SyncClient, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    program = serving(site, project.folder, monkeypatch)
    run = project.start(api.read_deployment_by_name("served/here").id, parameters={"mark": str(mark)})
    eventually(mark.exists, 60)
    api.set_flow_run_state(run, StateCreate(type=StateType.CANCELLING))
    project.until(run, "CANCELLED")
    program.stop()
    assert project.history(run) == ["Scheduled", "Pending", "Running", "Cancelling", "Cancelled"]
