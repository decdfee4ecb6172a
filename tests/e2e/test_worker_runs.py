"""What a worker does with runs: output, exit codes, signals, retries, cancellation, limits and queues."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from headway.client import SyncClient
from headway.core.states import StateType
from headway.testing.processes import Place
from headway.testing.project import Project
from headway.testing.waiting import eventually
from headway.wire.states import StateCreate
from headway.wire.work_queues import WorkQueueCreate

HELLO = """
import sys
from headway import flow

@flow
def hello(name: str = "world"):
    print(f"hello {name}")
    print("a warning", file=sys.stderr)
    return name
"""
SLEEPY = """
import os, subprocess, sys, time
from pathlib import Path
from headway import flow

@flow
def sleepy(marks: str):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(marks, f"{os.getpid()}").write_text(str(child.pid))
    time.sleep(600)
"""
CRASHING = """
import os, signal
from pathlib import Path
from headway import flow

@flow(retries=1)
def crashing(mark: str):
    if not Path(mark).exists():
        Path(mark).write_text("was here")
        os.kill(os.getpid(), signal.SIGKILL)
"""
QUITTING = """
import os
from headway import flow

@flow
def quitting():
    print("about to leave", flush=True)
    os._exit(7)
"""
ORDERED = """
from pathlib import Path
from headway import flow

@flow
def ordered(name: str, book: str):
    with open(book, "a") as file:
        file.write(name + "\\n")
"""


def marks_of(folder: Path) -> tuple[int, int]:
    """The pids of the run's process and of its child, once they are written."""

    def read() -> tuple[int, int] | None:
        for path in folder.iterdir():
            if child := path.read_text():
                return int(path.name), int(child)
        return None

    return eventually(read, 60, "the run's process to say that it lives")


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.both_databases
def test_a_run_is_executed_in_a_process_and_its_output_is_in_its_logs(site: Place, project: Project) -> None:
    pool = project.pool()
    site.worker(pool)
    run = project.start(project.deploy("hello", HELLO, pool), parameters={"name": "Ada"})
    done = project.until(run)
    assert done.state_name == "Completed"
    assert project.history(run) == ["Scheduled", "Pending", "Running", "Completed"]
    eventually(lambda: project.api.read_flow_run(run).infrastructure_pid, 60, "the worker's report")
    records = eventually(lambda: [r for r in project.log_records(run) if r.name.startswith("headway.std")] or None)
    eventually(lambda: {"hello Ada", "a warning"} <= set(project.logs(run)), 60)
    assert {(r.message, r.level) for r in records} <= {("hello Ada", 20), ("a warning", 30)}


def test_stream_output_prints_the_output_on_the_worker_too(site: Place, project: Project) -> None:
    pool = project.pool()
    worker = site.worker(pool)
    project.start(project.deploy("hello", HELLO, pool))
    worker.wait_for("hello world")
    quiet = project.start(project.deploy("hello", HELLO, pool, job_variables={"stream_output": False}), name="quiet")
    project.until(quiet)
    eventually(lambda: "hello world" in project.logs(quiet), 60)
    assert worker.text.count("hello world") == 1


def test_a_run_whose_process_is_killed_is_crashed_with_the_signal_within_a_second(
    site: Place, project: Project, tmp_path: Path
) -> None:
    pool, marks = project.pool(), tmp_path / "marks"
    marks.mkdir()
    site.worker(pool)
    run = project.start(project.deploy("sleepy", SLEEPY, pool), parameters={"marks": str(marks)})
    pid, child = marks_of(marks)
    killed = datetime.now(UTC)
    os.kill(pid, signal.SIGKILL)
    crashed = project.until(run)
    assert crashed.state_type == StateType.CRASHED
    assert "SIGKILL" in crashed.state.message
    assert (crashed.state.timestamp - killed).total_seconds() < 1.0
    eventually(lambda: gone(child), 10, "the killed run's child to be gone")


@pytest.mark.both_databases
def test_a_run_that_crashes_with_retries_left_gets_a_second_attempt(
    site: Place, project: Project, tmp_path: Path
) -> None:
    pool = project.pool()
    site.worker(pool)
    deployment = project.deploy("crashing", CRASHING, pool, retries=1)
    run = project.start(deployment, parameters={"mark": str(tmp_path / "mark")})
    done = project.until(run, "COMPLETED")
    assert done.attempt == 2
    history = project.history(run)
    assert history[:5] == ["Scheduled", "Pending", "Running", "Crashed", "AwaitingRetry"]
    assert history[-1] == "Completed"
    crash = project.api.read_flow_run_states(run)[3]
    assert "SIGKILL" in crash.message


def test_a_process_that_leaves_without_a_final_state_is_crashed_with_its_exit_code(
    site: Place, project: Project
) -> None:
    pool = project.pool()
    site.worker(pool)
    run = project.start(project.deploy("quitting", QUITTING, pool))
    crashed = project.until(run)
    assert crashed.state_type == StateType.CRASHED
    assert "code 7" in crashed.state.message
    eventually(lambda: "about to leave" in project.logs(run), 60)


def test_a_run_that_cannot_be_started_says_why_and_is_not_tried_again(site: Place, project: Project) -> None:
    pool = project.pool()
    site.worker(pool)
    deployment = project.deploy("hello", HELLO, pool, job_variables={"command": "no-such-program --now"})
    crashed = project.until(project.start(deployment))
    assert crashed.state_type == StateType.CRASHED
    assert "no-such-program" in crashed.state.message
    assert "No such file" in crashed.state.message


@pytest.mark.both_databases
def test_cancelling_ends_the_whole_process_group_within_ten_seconds(
    site: Place, project: Project, tmp_path: Path
) -> None:
    pool, marks = project.pool(), tmp_path / "marks"
    marks.mkdir()
    site.worker(pool)
    run = project.start(project.deploy("sleepy", SLEEPY, pool), parameters={"marks": str(marks)})
    pid, child = marks_of(marks)
    project.api.set_flow_run_state(run, StateCreate(type=StateType.CANCELLING))
    eventually(lambda: gone(pid) and gone(child), 10, "the run's process and its child to be gone")
    cancelled = project.until(run)
    assert cancelled.state_type == StateType.CANCELLED


def test_a_worker_holds_no_more_runs_than_its_limit(site: Place, project: Project, tmp_path: Path) -> None:
    pool, marks = project.pool(), tmp_path / "marks"
    marks.mkdir()
    site.worker(pool, "--limit", "2")
    deployment = project.deploy("sleepy", SLEEPY, pool)
    runs = [project.start(deployment, parameters={"marks": str(marks)}) for _ in range(3)]
    eventually(lambda: len(list(marks.iterdir())) == 2, 60)
    states = sorted(project.api.read_flow_run(run).state_type for run in runs)
    assert states == ["RUNNING", "RUNNING", "SCHEDULED"]
    os.kill(int(next(marks.iterdir()).name), signal.SIGKILL)
    eventually(lambda: len(list(marks.iterdir())) == 3, 60)


def names(book: Path) -> list[str]:
    return book.read_text().split() if book.exists() else []


def test_queues_are_served_by_priority_and_only_the_named_ones(
    site: Place, api: SyncClient, project: Project, tmp_path: Path
) -> None:
    pool, book = project.pool(), tmp_path / "book"
    for name, priority in (("low", 9), ("high", 1), ("other", 2)):
        api.create_work_queue(pool, WorkQueueCreate(name=name, priority=priority))
    deployments = {queue: project.deploy("ordered", ORDERED, pool, queue) for queue in ("low", "high", "other")}
    runs: dict[str, UUID] = {}
    for name, queue in (("l1", "low"), ("l2", "low"), ("o1", "other"), ("h1", "high"), ("h2", "high")):
        runs[name] = project.start(deployments[queue], parameters={"name": name, "book": str(book)})
    site.worker(pool, "--limit", "1", "--work-queue", "low", "--work-queue", "high")
    for name in ("l1", "l2", "h1", "h2"):
        project.until(runs[name], "COMPLETED")
    assert names(book) == ["h1", "h2", "l1", "l2"]
    assert api.read_flow_run(runs["o1"]).state_type == StateType.SCHEDULED


def test_a_worker_without_named_queues_serves_those_made_later(
    site: Place, api: SyncClient, project: Project, tmp_path: Path
) -> None:
    pool, book = project.pool(), tmp_path / "book"
    site.worker(pool)
    api.create_work_queue(pool, WorkQueueCreate(name="late-comer"))
    deployment = project.deploy("ordered", ORDERED, pool, "late-comer")
    project.until(project.start(deployment, parameters={"name": "x", "book": str(book)}), "COMPLETED")


def test_run_once_takes_what_is_due_and_ends(site: Place, project: Project, tmp_path: Path) -> None:
    pool, book = project.pool(), tmp_path / "book"
    deployment = project.deploy("ordered", ORDERED, pool)
    runs = [project.start(deployment, parameters={"name": name, "book": str(book)}) for name in "ab"]
    assert site.worker(pool, "--run-once").wait(60) == 0
    assert {project.api.read_flow_run(run).state_type for run in runs} == {StateType.COMPLETED}
    assert site.worker(pool, "--run-once").wait(60) == 0


def test_an_inline_run_needs_no_process_of_its_own(site: Place, project: Project, tmp_path: Path) -> None:
    pool, book = project.pool(), tmp_path / "book"
    worker = site.worker(pool)
    deployment = project.deploy("ordered", ORDERED, pool, job_variables={"isolation": "inline"})
    runs = [project.start(deployment, parameters={"name": name, "book": str(book)}) for name in "ab"]
    for run in runs:
        project.until(run, "COMPLETED")
        assert project.api.read_flow_run(run).infrastructure_pid.endswith(f":{worker.pid}")
    assert sorted(names(book)) == ["a", "b"]
