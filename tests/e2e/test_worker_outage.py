"""Servers and workers that go away while runs go on: nothing is lost, nothing is told twice."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from pathlib import Path
from uuid import UUID

import msgspec
import psutil

from headway.client import SyncClient
from headway.core.settings import Settings
from headway.core.states import StateType
from headway.testing.processes import Place, ServerProcess
from headway.testing.project import Project
from headway.testing.waiting import eventually
from headway.wire.task_runs import TaskRun, TaskRunQuery

CHATTY = """
import time
from pathlib import Path
from headway import flow, task

@task
def note(number: int) -> int:
    print(f"task {number}", flush=True)
    return number

@flow
def chatty(started: str, go_on: str):
    print("begin", flush=True)
    note(0)
    Path(started).touch()
    while not Path(go_on).exists():
        time.sleep(0.05)
    for number in range(1, 4):
        note(number)
    print("end", flush=True)
"""
OUTAGE_SECONDS = float(os.environ.get("HEADWAY_TEST_OUTAGE_SECONDS", "8"))
"""The issue speaks of 60 s; `HEADWAY_TEST_OUTAGE_SECONDS=60` runs that."""
QUICK = {"server_lease_ttl_seconds": 3, "server_lease_renew_seconds": 0.5, "server_lease_reaper_seconds": 0.5}
"""Leases that run out sooner than one wants to wait; the engine inherits them from its worker."""
SPOKEN = ["begin", "task 0", "task 1", "task 2", "task 3", "end"]


def spoken(project: Project, run: UUID) -> list[str]:
    records = [record for record in project.log_records(run) if record.name == "headway.stdout"]
    return [record.message for record in records if record.message in SPOKEN]


def test_a_run_that_ends_while_the_server_is_down_is_complete_after_it_returns(place: Place, tmp_path: Path) -> None:
    """The server is away for longer than every lease lives: that costs no healthy run."""
    server = place.server(**QUICK)
    with SyncClient(place.url, settings=Settings(home=place.home)) as api:
        outlive_the_server(place, server, Project(tmp_path / "project", api), tmp_path)


def outlive_the_server(place: Place, server: ServerProcess, project: Project, tmp_path: Path) -> None:
    pool, started, go_on = project.pool(), tmp_path / "started", tmp_path / "go-on"
    worker = place.worker(pool, **QUICK)
    deployment = project.deploy("chatty", CHATTY, pool)
    run = project.start(deployment, parameters={"started": str(started), "go_on": str(go_on)})
    eventually(started.exists, 60)
    server.kill()
    worker.wait_for("No server answers")
    go_on.touch()
    threading.Event().wait(OUTAGE_SECONDS)  # the outage itself
    place.server(port=server.port, **QUICK)
    done = project.until(run, deadline=90)
    assert done.state_type == StateType.COMPLETED
    assert done.attempt == 1
    eventually(lambda: spoken(project, run) == SPOKEN, 60, "all output, in order, once")
    tasks = eventually(lambda: finished_tasks(project, run), 60)
    assert len(tasks) == 4
    counts = Counter(record.id for record in project.log_records(run))
    assert max(counts.values()) == 1


def test_a_run_that_is_killed_while_the_server_is_down_is_tried_again_after_it_returns(
    place: Place, tmp_path: Path
) -> None:
    server = place.server()
    with SyncClient(place.url, settings=Settings(home=place.home)) as api:
        project = Project(tmp_path / "project", api)
        pool, started, go_on = project.pool(), tmp_path / "started", tmp_path / "go-on"
        worker = place.worker(pool)
        deployment = project.deploy("chatty", CHATTY, pool, retries=1)
        run = project.start(deployment, parameters={"started": str(started), "go_on": str(go_on)})
        eventually(started.exists, 60)
        pid = int(project.until(run, "RUNNING").infrastructure_pid.rpartition(":")[2])
        server.kill()
        os.kill(pid, signal.SIGKILL)
        worker.wait_for("killed by signal SIGKILL")
        go_on.touch()
        place.server(port=server.port)
        done = project.until(run, "COMPLETED")
        assert done.attempt == 2
        assert [name for name in project.history(run) if name in ("Crashed", "AwaitingRetry")] == [
            "Crashed",
            "AwaitingRetry",
        ]


def finished_tasks(project: Project, run: UUID) -> list[TaskRun] | None:
    query = msgspec.convert({"flow_runs": {"id": {"any_": [str(run)]}}}, TaskRunQuery)
    found: list[TaskRun] = project.api.read_task_runs(query)
    return found if len(found) == 4 and all(task.state_type == StateType.COMPLETED for task in found) else None


def test_a_worker_that_was_killed_goes_on_under_its_name_and_nothing_is_told_twice(
    site: Place, project: Project, tmp_path: Path
) -> None:
    pool, started, go_on = project.pool(), tmp_path / "started", tmp_path / "go-on"
    first = site.worker(pool, "--name", "phoenix")
    deployment = project.deploy("chatty", CHATTY, pool)
    run = project.start(deployment, parameters={"started": str(started), "go_on": str(go_on)})
    eventually(started.exists, 60)
    eventually(lambda: "task 0" in spoken(project, run), 30)
    first.kill()
    second = site.worker(pool, "--name", "phoenix")
    go_on.touch()
    assert project.until(run).state_type == StateType.COMPLETED
    eventually(lambda: spoken(project, run) == SPOKEN, 30, "all output, in order, once")
    assert project.api.read_flow_run(run).attempt == 1
    second.signal(signal.SIGTERM)
    assert second.wait() == 0
    assert not list((site.home / "attempts").glob("*/*"))


def test_a_run_that_dies_while_no_worker_lives_is_crashed_by_the_next_one(
    site: Place, project: Project, tmp_path: Path
) -> None:
    pool, started = project.pool(), tmp_path / "started"
    first = site.worker(pool, "--name", "phoenix")
    deployment = project.deploy("chatty", CHATTY, pool)
    run = project.start(deployment, parameters={"started": str(started), "go_on": str(tmp_path / "never")})
    eventually(started.exists, 60)
    pid = int(project.until(run, "RUNNING").infrastructure_pid.rpartition(":")[2])
    first.kill()
    os.kill(pid, signal.SIGKILL)
    site.worker(pool, "--name", "phoenix")
    crashed = project.until(run)
    assert crashed.state_type == StateType.CRASHED
    assert "SIGKILL" in crashed.state.message


def test_another_worker_adopts_what_a_dead_one_left(place: Place, tmp_path: Path) -> None:
    place.server(**QUICK)
    with SyncClient(place.url, settings=Settings(home=place.home)) as api:
        project = Project(tmp_path / "project", api)
        pool, started, go_on = project.pool(), tmp_path / "started", tmp_path / "go-on"
        first = place.worker(pool, "--name", "old", **QUICK)
        deployment = project.deploy("chatty", CHATTY, pool)
        run = project.start(deployment, parameters={"started": str(started), "go_on": str(go_on)})
        eventually(started.exists, 60)
        first.kill()
        second = place.worker(pool, "--name", "new", **QUICK)
        second.wait_for("Adopting flow run", 60)
        go_on.touch()
        assert project.until(run).state_type == StateType.COMPLETED
        eventually(lambda: spoken(project, run) == SPOKEN, 30, "all output, in order, once")


HANGING = """
import os, time
from pathlib import Path
from headway import flow

@flow
def hanging(mark: str):
    if Path(mark).exists():
        return
    Path(mark).write_text(str(os.getpid()))
    time.sleep(600)
"""


def test_a_process_that_outlived_its_attempt_is_ended_by_the_next_worker(place: Place, tmp_path: Path) -> None:
    place.server(**QUICK)
    with SyncClient(place.url, settings=Settings(home=place.home)) as api:
        project = Project(tmp_path / "project", api)
        pool, mark = project.pool(), tmp_path / "mark"
        first = place.worker(pool, "--name", "first", **QUICK)
        deployment = project.deploy("hanging", HANGING, pool, retries=1)
        run = project.start(deployment, parameters={"mark": str(mark)})
        pid = eventually(lambda: int(mark.read_text()) if mark.exists() and mark.read_text() else None, 60)
        first.kill()
        os.kill(pid, signal.SIGSTOP)  # neither worker nor engine can renew: the lease runs out
        project.until(run, "AwaitingRetry")
        assert psutil.pid_exists(pid)
        place.worker(pool, "--name", "second", **QUICK)
        assert project.until(run, "COMPLETED").attempt == 2
        eventually(lambda: not psutil.pid_exists(pid), 60, "the hanging process to be gone")
