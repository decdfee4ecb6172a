"""Runs that pause or suspend under a worker: a paused one keeps its process, a suspended one gives it up."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from headway.testing.processes import Place
from headway.testing.project import Project
from headway.testing.waiting import eventually

ASKING = """
from headway import flow, pause_flow_run, suspend_flow_run

@flow
def asking(suspend: bool):
    answer = suspend_flow_run(int) if suspend else pause_flow_run(int, timeout=120, poll_interval=0.2)
    print(f"answer {answer}", flush=True)
"""


def resume(project: Project, run: UUID, value: Any) -> str:
    """The state that resuming with `value` leads to, once the run has said which input it waits for."""
    eventually(lambda: project.api.filter_flow_run_inputs(run, prefix="", limit=1), 30, f"{run} asks for an input")
    state: str = project.api.resume_flow_run(run, {"value": value}).state.name
    return state


def test_a_suspended_run_frees_its_worker_and_goes_on_in_a_new_process(site: Place, project: Project) -> None:
    pool = project.pool()
    worker = site.worker(pool, "--limit", "1")
    run = project.start(project.deploy("asking", ASKING, pool), parameters={"suspend": True})
    project.until(run, "Suspended")
    worker.wait_for("Process exited with code 0")
    assert resume(project, run, 7) == "Resuming"
    assert project.until(run).state_name == "Completed"
    assert project.history(run)[:5] == ["Scheduled", "Pending", "Running", "Suspended", "Resuming"]
    eventually(lambda: "answer 7" in project.logs(run), 60)


def test_a_paused_run_keeps_its_process_and_its_worker(site: Place, project: Project) -> None:
    pool = project.pool()
    site.worker(pool, "--limit", "1")
    run = project.start(project.deploy("asking", ASKING, pool), parameters={"suspend": False})
    process = project.until(run, "Paused").infrastructure_pid
    assert resume(project, run, 8) == "Running"
    done = project.until(run)
    assert (done.state_name, done.infrastructure_pid) == ("Completed", process)
    assert project.history(run) == ["Scheduled", "Pending", "Running", "Paused", "Running", "Completed"]
