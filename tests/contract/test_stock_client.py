"""The reference's own CLI, SDK, worker and engine against Headway's server: one URL is all that changes.

Run it with `make contract`; it uses the environment that live/servers.py makes.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live.servers import reference_python

from headway.testing.processes import Place

HERE = Path(__file__).parent / "stock"
Run = Callable[..., str]


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if not request.config.getoption("--live", default=False):
        pytest.skip("the reference's client is tried with `make contract`")
    with Place(tmp_path_factory.mktemp("stock") / "home") as place:
        place.server()
        yield place


@pytest.fixture(scope="module")
def stock(place: Place) -> Run:
    """Runs a program of the reference's environment against Headway's server; its output."""
    folder = reference_python().parent
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "HEADWAY_"))}
    env |= {
        "PREFECT_API_URL": str(place.url),
        "PREFECT_HOME": str(place.home / "stock"),
        "DO_NOT_TRACK": "1",
        "COLUMNS": "250",
    }

    def run(program: str, *arguments: str) -> str:
        done = subprocess.run([str(folder / program), *arguments], env=env, cwd=HERE, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=180, check=False)  # fmt: skip
        assert done.returncode == 0, f"{program} {arguments}:\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    return run


def ask(place: Place, path: str, body: Any) -> Any:
    request = urllib.request.Request(f"{place.url}{path}", json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


@pytest.fixture(scope="module")
def ran(place: Place, stock: Run) -> Place:
    """The place after a stock worker has run a stock deployment once."""
    stock("prefect", "work-pool", "create", "stock-pool", "--type", "process")
    stock("prefect", "work-queue", "create", "first", "--pool", "stock-pool", "-q", "1")
    stock("python", "deploy.py")
    stock("prefect", "deployment", "run", "outer/stock", "-p", "number=7")
    stock("prefect", "worker", "start", "--pool", "stock-pool", "--name", "stock-worker", "--run-once")
    return place


@pytest.mark.timeout(900)
def test_a_stock_worker_runs_a_stock_deployment_from_a_headway_server(ran: Place) -> None:
    runs = ask(ran, "/flow_runs/filter", {"flows": {"name": {"any_": ["outer", "inner"]}},
                                            "flow_runs": {"start_time": {"is_null_": False}}})  # fmt: skip
    assert {run["state_type"] for run in runs} == {"COMPLETED"}
    assert [run["parameters"] for run in runs if run["deployment_id"]] == [{"number": 7}]
    assert len(runs) == 2
    outer = next(run for run in runs if run["deployment_id"])
    logs = ask(ran, "/logs/filter", {"logs": {"flow_run_id": {"any_": [outer["id"]]}}})
    assert any("hello from the stock engine" in line["message"] for line in logs)
    workers = ask(ran, "/work_pools/stock-pool/workers/filter", {})
    assert [worker["name"] for worker in workers] == ["stock-worker"]


@pytest.mark.timeout(900)
def test_the_stock_cli_reads_what_headway_answers(ran: Place, stock: Run) -> None:
    assert "stock-pool" in stock("prefect", "work-pool", "ls")
    assert "first" in stock("prefect", "work-queue", "ls", "--pool", "stock-pool")
    assert "outer/stock" in stock("prefect", "deployment", "ls")
    assert "COMPLETED" in stock("prefect", "flow-run", "ls")
    assert "0 3 * * *" in stock("prefect", "deployment", "schedule", "ls", "outer/stock")
