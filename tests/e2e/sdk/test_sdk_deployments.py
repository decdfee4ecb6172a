"""Deploying from code and having it run by a worker; the client's two faces."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from headway import (
    CronSchedule,
    Deployment,
    IntervalSchedule,
    Process,
    flow,
    get_client,
    run_deployment,
    state_of,
)
from headway.core.errors import HeadwayError, Invalid, NotFound, WorkerTypeNotSupportedError
from headway.sdk.entrypoints import load_flow
from headway.testing.processes import Place
from headway.testing.waiting import eventually
from headway.wire.deployments import DeploymentScheduleCreate
from headway.wire.states import StateCreate, StateType
from headway.wire.work_pools import WorkPoolCreate

Unique = Callable[[str], str]

SOURCE = """
import os, subprocess, sys, time, pathlib
from headway import flow, task

@task
def child_of(folder):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    pathlib.Path(folder, "pids").write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)

@flow(persist_result=True)
def shows(n: int = 1):
    return {"n": n, "cwd": os.getcwd(), "mark": os.environ.get("MARK"), "pool": os.environ.get("POOL")}

@flow
def hangs(folder: str):
    child_of(folder)

@flow(persist_result=True)
def calls(name: str):
    from headway import run_deployment, state_of
    return state_of(run_deployment(name, {"n": 2})).result()["n"]
"""


@pytest.fixture
def pool(history: Any, unique: Unique) -> str:
    """A process pool that sets two variables for its runs."""
    template = {"env": {"POOL": "pool", "MARK": "pool"}, "grace_seconds": 2}
    made = history.client.create_work_pool(WorkPoolCreate(name=unique("pool"), type="process"))
    defaults = made.base_job_template
    for name, value in template.items():
        defaults["variables"]["properties"][name]["default"] = value
    from headway.wire.work_pools import WorkPoolUpdate

    history.client.update_work_pool(made.name, WorkPoolUpdate(base_job_template=defaults))
    return str(made.name)


@pytest.fixture
def worker(sdk_place: Place, pool: str) -> Iterator[Any]:
    started = sdk_place.worker(pool)
    yield started
    started.stop()


@pytest.fixture
def project(tmp_path: Path, unique: Unique, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Loads a flow of a project folder, which is the current folder."""
    folder = tmp_path / "project"
    (folder / "jobs").mkdir(parents=True)
    module = f"jobs_{abs(hash(unique('x')))}.py"
    (folder / "jobs" / module).write_text(SOURCE)
    monkeypatch.chdir(folder)
    path = list(sys.path)
    yield lambda function: load_flow(f"jobs/{module}:{function}", [folder]).with_options(name=unique(function))
    sys.path[:] = path


@pytest.mark.timeout(240)
def test_a_deployed_flow_is_run_by_a_worker_in_the_projects_folder(
    history: Any, pool: str, worker: Any, project: Any, unique: Unique
) -> None:
    shows = project("shows")
    shows.deploy("prod", pool, infrastructure=Process(env={"POOL": "pool", "MARK": "deployment"}), parameters={"n": 5})
    deployment = history.client.read_deployment_by_name(f"{unique('shows')}/prod")
    assert deployment.path == os.getcwd()
    assert deployment.entrypoint.startswith("jobs/jobs_")
    assert deployment.job_variables == {"env": {"POOL": "pool", "MARK": "deployment"}}
    run = run_deployment(f"{unique('shows')}/prod", timeout=90)
    assert run.state_name == "Completed"
    assert state_of(run).result() == {"n": 5, "cwd": os.getcwd(), "mark": "deployment", "pool": "pool"}
    over = run_deployment(deployment.id, {"n": 6}, job_variables={"env": {"MARK": "run"}}, timeout=90)
    assert state_of(over).result()["n"] == 6
    assert state_of(over).result()["mark"] == "run"


@pytest.mark.timeout(240)
def test_a_cancelled_run_is_gone_with_its_children(
    history: Any, pool: str, worker: Any, project: Any, tmp_path: Path
) -> None:
    id = project("hangs").deploy("d", pool, parameters={"folder": str(tmp_path)})
    run = run_deployment(id, timeout=0)
    eventually(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text().count(" "), 60)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    history.client.set_flow_run_state(run.id, StateCreate(type=StateType.CANCELLING))
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids), 10, "the process group to be gone")
    eventually(lambda: history.client.read_flow_run(run.id).state_name == "Cancelled", 20)


@pytest.mark.timeout(240)
def test_a_deployment_run_inside_a_flow_is_a_part_of_it(
    history: Any, pool: str, worker: Any, project: Any, unique: Unique
) -> None:
    project("shows").deploy("inner", pool)
    project("calls").deploy("outer", pool)
    run = run_deployment(f"{unique('calls')}/outer", {"name": f"{unique('shows')}/inner"}, timeout=120)
    assert state_of(run).result() == 2
    (link,) = history.task_runs(run.id, 1)
    inner = history.run(unique("shows"))
    assert inner.parent_task_run_id == link.id
    assert link.state_name == "Completed"


def test_build_from_flow_sends_only_the_fields_that_were_set(
    history: Any, pool: str, project: Any, unique: Unique
) -> None:
    deployment = Deployment.build_from_flow(
        project("shows"),
        "built",
        infrastructure=Process(working_dir="/tmp"),
        work_pool_name=pool,
        job_variables={"labels": {"a": "b"}},
    )
    id = deployment.apply()
    found = history.client.read_deployment(id)
    assert found.job_variables == {"working_dir": "/tmp", "labels": {"a": "b"}}
    assert found.parameter_openapi_schema["properties"]["n"]["type"] == "integer"
    assert found.work_pool_name == pool


def test_infrastructure_of_another_type_than_the_pools_is_refused(history: Any, project: Any, unique: Unique) -> None:
    other = history.client.create_work_pool(
        WorkPoolCreate(name=unique("other"), type="ghost", base_job_template={"job_configuration": {}, "variables": {}})
    )
    with pytest.raises(WorkerTypeNotSupportedError, match="'process' is not compatible with work pool type 'ghost'"):
        project("shows").deploy("d", other.name, infrastructure=Process())


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"cron": "never"}, "never"),
        ({"cron": "0 0 * * *", "timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"parameters": {"n": "many"}}, "n"),
        ({"job_variables": {"memoryy": 1}}, "memoryy"),
    ],
)
def test_what_means_nothing_is_refused_when_deploying(
    pool: str, project: Any, fields: dict[str, Any], error: str
) -> None:
    with pytest.raises((Invalid, HeadwayError), match=error) as caught:
        project("shows").deploy("bad", pool, **fields)
    assert "\n" not in str(caught.value)


def test_a_pool_that_does_not_exist_is_named(project: Any, server: str) -> None:
    with pytest.raises(NotFound, match="no-such-pool"):
        project("shows").deploy("d", "no-such-pool")


def test_a_deployment_that_does_not_exist_is_named(server: str) -> None:
    with pytest.raises(NotFound, match="nobody/nothing"):
        run_deployment("nobody/nothing")


def test_schedules_of_every_kind_are_kept(history: Any, pool: str, project: Any, unique: Unique) -> None:
    id = project("shows").deploy(
        "timed",
        pool,
        cron="0 6 * * 1",
        timezone="Europe/Berlin",
        interval=3600,
        rrule="FREQ=DAILY",
        schedules=[DeploymentScheduleCreate(schedule=CronSchedule("5 5 5 5 *"), active=False)],
    )
    found = history.client.read_deployment_schedules(id)
    kinds = {(s.schedule.kind, s.active) for s in found}
    assert kinds == {("cron", True), ("cron", False), ("interval", True), ("rrule", True)}


def test_both_faces_of_the_client_create_deployments_from_fields(server: str, pool: str, unique: Unique) -> None:
    async def awaited() -> Any:
        async with get_client() as client:
            flow_id = (await client.create_flow(unique("f"))).id
            return await client.create_deployment(
                flow_id,
                "one",
                parameters={"a": 1},
                schedule=CronSchedule(cron="0 0 * * *", timezone="UTC"),
                work_pool_name=pool,
                work_queue_name="night",
                entrypoint="f.py:f",
            )

    first = asyncio.run(awaited())
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(unique("f")).id
        again = client.create_deployment(
            flow_id=flow_id, name="two", parameters={}, schedule=IntervalSchedule(60), work_pool_name=pool
        )
        one, two = client.read_deployment(first), client.read_deployment(again)
    assert one.work_queue_name == "night"
    assert one.parameters == {"a": 1}
    assert one.schedules[0].schedule.cron == "0 0 * * *"
    assert two.schedules[0].schedule.interval == 60


def test_deploying_in_async_code_is_awaited(history: Any, pool: str, project: Any, unique: Unique) -> None:
    shows = project("shows")

    async def awaited() -> Any:
        id = await shows.deploy("async", pool)
        return await run_deployment(id, timeout=0)

    run = asyncio.run(awaited())
    assert run.state_name in ("Scheduled", "Late")


def test_a_name_with_a_slash_is_refused() -> None:
    @flow
    def some() -> None: ...

    with pytest.raises(HeadwayError, match="cannot be 'a/b'"):
        some.to_deployment("a/b")
