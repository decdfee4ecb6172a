"""Our SDK against a live reference server: what it records there is complete. Runs with `make contract`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from live.servers import reference

from headway import flow, get_run_logger, task
from headway.client import SyncClient
from headway.core.settings import Settings
from headway.testing.waiting import eventually
from headway.wire.flow_runs import FlowRunQuery
from headway.wire.logs import LogQuery
from headway.wire.task_runs import TaskRunQuery

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def client(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncClient]:
    if not request.config.getoption("--live", default=False):
        pytest.skip("the live comparison runs with `make contract`")
    with reference(tmp_path / "reference") as theirs:
        theirs.wait_until_ready()
        monkeypatch.setenv("HEADWAY_API_URL", theirs.url)
        monkeypatch.setenv("HEADWAY_HOME", str(tmp_path / "home"))
        with SyncClient(settings=Settings(api_url=theirs.url)) as opened:
            yield opened


@task
def inc(x: int) -> int:
    get_run_logger().info("inc %d", x)
    return x + 1


@task(retries=1)
def flaky(tries: list[int]) -> int:
    tries.append(1)
    if len(tries) == 1:
        raise ValueError("once")
    return len(tries)


@flow
def child(x: int) -> int:
    return inc(x)


def test_runs_task_runs_states_and_logs_of_our_sdk_are_all_on_a_stock_server(client: Any) -> None:
    @flow(retries=1)
    def parent() -> int:
        return sum(inc.map([1, 2]).result()) + flaky([]) + child(5)

    assert parent() == 5 + 2 + 6
    runs = client.read_flow_runs(msgspec.convert({"sort": "START_TIME_ASC"}, FlowRunQuery))
    assert [(run.state_name, run.run_count) for run in runs] == [("Completed", 1), ("Completed", 1)]

    def recorded() -> Any:
        found = client.read_task_runs(msgspec.convert({"sort": "NAME_ASC"}, TaskRunQuery))
        done = [(t.name, t.state_name, t.run_count) for t in found]
        expected = [("child-0", "Completed"), ("flaky-0", "Completed"), ("inc-0", "Completed"), ("inc-0", "Completed")]
        return found if [item[:2] for item in done] == [*expected, ("inc-1", "Completed")] else None

    found = eventually(recorded, 60, "all task runs with their last states")
    flaky_run = next(t for t in found if t.name == "flaky-0")
    assert flaky_run.run_count == 2
    states = [state.name for state in client.read_task_run_states(flaky_run.id)]
    assert states == ["Pending", "Running", "Retrying", "Completed"]
    link = next(t for t in found if t.name == "child-0")
    assert runs[1].parent_task_run_id == link.id
    logs = eventually(lambda: client.read_logs(LogQuery()) or None, 30)
    assert {log.message for log in logs} >= {"inc 1", "inc 2", "inc 5"}
