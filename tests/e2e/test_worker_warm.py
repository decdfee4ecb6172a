"""Warm runs through a real worker: what they are born with, code that changes, output, and processes of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from headway.testing.processes import Place
from headway.testing.project import Project
from headway.testing.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="warm starts are for Linux")

HELPED = """
import os, sys
from headway import flow
import helper

@flow
def helped():
    secrets = [name for name in os.environ if name.startswith("HEADWAY_ATTEMPT") or "CLAIM" in name]
    print(helper.VALUE, "headway.drivers.process.template" in sys.modules, secrets)
"""
LOUD = """
import sys
from headway import flow

@flow
def loud(lines: int):
    for number in range(lines):
        print(f"line {number}")
    print("the end", file=sys.stderr)
"""
POOLED = """
from headway import flow, task, ProcessPoolTaskRunner
import os

@task
def where(number: int):
    return os.getpid() if number else 0

@flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
def pooled():
    pids = {future.result() for future in where.map([1, 2])}
    print("elsewhere", os.getpid() not in pids)
"""
PRELOADED = """
import os
from headway import flow

BORN = os.getpid()

@flow
def preloaded():
    print("loaded here", BORN == os.getpid())
"""


def test_a_warm_run_sees_code_as_it_is_now_whatever_its_size_and_time_say(site: Place, project: Project) -> None:
    pool, helper = project.pool(), project.folder / "helper.py"
    site.worker(pool)
    value = 0
    for isolation in ("fork", "spawn"):
        deployment = project.deploy("helped", HELPED, pool, job_variables={"isolation": isolation})
        for _ in range(2):
            value += 1
            helper.write_text(f"VALUE = {value}\n")
            os.utime(helper, (1_700_000_000, 1_700_000_000))
            run = project.start(deployment)
            assert project.until(run).state_name == "Completed"
            said = f"{value} {isolation == 'fork'} []"
            eventually(lambda run=run, said=said: said in project.logs(run), 60, said)


def test_all_output_of_warm_runs_at_once_arrives_whole_in_order_and_where_it_belongs(
    site: Place, project: Project
) -> None:
    pool = project.pool()
    site.worker(pool, "--limit", "4")
    deployment = project.deploy("loud", LOUD, pool, job_variables={"stream_output": False})
    runs = {project.start(deployment, parameters={"lines": count}): count for count in (150, 100, 50, 3)}
    for run, count in runs.items():
        project.until(run)
        expected = [f"line {number}" for number in range(count)]
        eventually(
            lambda run=run, expected=expected: [x for x in project.logs(run) if x.startswith("line ")] == expected,
            60,
            f"{count} lines in their order",
        )
        eventually(lambda run=run: "the end" in project.logs(run), 60)


def test_a_warm_run_may_use_a_process_pool_and_a_flow_may_be_loaded_before_the_fork(
    site: Place, project: Project
) -> None:
    pool = project.pool()
    worker = site.worker(pool)
    pooled = project.start(project.deploy("pooled", POOLED, pool))
    early = project.start(project.deploy("preloaded", PRELOADED, pool, job_variables={"preload_flow": True}))
    assert project.until(pooled).state_name == "Completed"
    assert project.until(early).state_name == "Completed"
    eventually(lambda: "elsewhere True" in project.logs(pooled), 60)
    eventually(lambda: "loaded here False" in project.logs(early), 60)
    assert "Runs are spawned" not in worker.text


def test_a_worker_says_once_why_a_run_is_not_forked(site: Place, project: Project, tmp_path: Path) -> None:
    pool = project.pool()
    (tmp_path / "threaded.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, name='pump', daemon=True).start()\n"
    )
    worker = site.worker(pool)
    settings = {"preload": ["threaded"], "env": {"PYTHONPATH": str(tmp_path)}}
    deployment = project.deploy("loud", LOUD, pool, job_variables=settings, parameters={"lines": 1})
    for _ in range(2):
        assert project.until(project.start(deployment)).state_name == "Completed"
    assert worker.text.count("Runs are spawned, not forked from a warm template") == 1
    assert "pump" in worker.text
