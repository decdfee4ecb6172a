"""The reference's own worker and ours serve one pool: its limit holds for both together, and nothing runs twice.

The runs themselves say in a file when they begin and end, and in whose engine. Run it with `make test-live`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from headway.client import SyncClient
from headway.testing.processes import Place
from headway.testing.project import Project
from headway.testing.waiting import eventually

RUNS, LIMIT = 40, 3
FLOW = """
import json, os, time

try:
    from prefect import flow
    from prefect.runtime import flow_run
    engine = "prefect"
except ImportError:
    from headway import flow
    from headway.runtime import flow_run
    engine = "headway"


def say(record, what):
    line = {"what": what, "time": time.time(), "run": str(flow_run.id), "engine": engine}
    fd = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, (json.dumps(line) + "\\n").encode())
    os.close(fd)


@flow
def shared(record: str):
    say(record, "begin")
    time.sleep(1.0)
    say(record, "end")
"""


@contextmanager
def stock_worker(place: Place, pool: str) -> Iterator[subprocess.Popen[bytes]]:
    """The reference's process worker, in its own environment."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))
    from live.servers import QUIET, reference_python

    program = reference_python().with_name("prefect")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "HEADWAY_"))}
    env = {
        **kept,
        **QUIET,
        "PREFECT_API_URL": str(place.url),
        "PREFECT_HOME": str(place.home / "stock"),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }
    command = [str(program), "worker", "start", "--pool", pool, "--name", "stock", "--type", "process"]
    with (place.home / "stock-worker.log").open("wb") as log:
        process = subprocess.Popen(command, env=env, cwd=place.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def most_at_once(lines: list[dict[str, Any]]) -> int:
    running = most = 0
    for line in sorted(lines, key=lambda line: line["time"]):
        running += 1 if line["what"] == "begin" else -1
        most = max(most, running)
    return most


@pytest.mark.timeout(900)
def test_a_stock_worker_and_ours_share_a_pool_and_its_limit(
    request: pytest.FixtureRequest,
    site: Place,
    api: SyncClient,
    project: Project,
    tmp_path: Path,
    record_property: Callable[[str, str], None],
) -> None:
    if not request.config.getoption("--live", default=False):
        pytest.skip("the reference's worker is tried with `make test-live`")
    pool, record = project.pool("shared", concurrency_limit=LIMIT), tmp_path / "record.jsonl"
    deployment = project.deploy("shared", FLOW, pool)
    with stock_worker(site, pool):
        eventually(lambda: "stock" in {worker.name for worker in api.read_workers(pool)}, 120, "the stock worker")
        runs = [project.start(deployment, parameters={"record": str(record)}) for _ in range(RUNS)]
        eventually(lambda: any(line["engine"] == "prefect" for line in records(record)), 120, "a stock run")
        site.worker(pool, "--limit", "2")
        ended = [project.until(run, deadline=600) for run in runs]
    lines = records(record)
    assert {run.state_type.value for run in ended} == {"COMPLETED"}
    assert Counter(line["run"] for line in lines if line["what"] == "begin") == {str(run): 1 for run in runs}
    assert most_at_once(lines) <= LIMIT
    shares = Counter(line["engine"] for line in lines if line["what"] == "begin")
    assert min(shares["prefect"], shares["headway"]) > 0
    record_property("note", f"a pool shared with a stock worker: {dict(shares)}, at most {most_at_once(lines)} at once")
