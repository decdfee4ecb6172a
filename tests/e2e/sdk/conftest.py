"""One real server for all SDK tests of a process; each test has a home of its own and finds its own runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from headway.client import SyncClient
from headway.core.settings import Settings
from headway.testing.processes import Place
from headway.testing.waiting import eventually
from headway.wire.flow_runs import FlowRun, FlowRunQuery
from headway.wire.logs import Log, LogQuery
from headway.wire.task_runs import TaskRun, TaskRunQuery


@pytest.fixture(scope="session")
def sdk_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Place(tmp_path_factory.mktemp("sdk") / "home") as place:
        place.server()
        yield place


@pytest.fixture
def server(sdk_place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The API URL; the test's own runs in this process go there."""
    assert sdk_place.url is not None
    monkeypatch.setenv("HEADWAY_API_URL", sdk_place.url)
    monkeypatch.setenv("HEADWAY_HOME", str(tmp_path / "home"))
    return sdk_place.url


class History:
    """What the server knows of runs; reads wait until it knows what is asked for."""

    def __init__(self, client: SyncClient) -> None:
        self.client = client

    def runs(self, flow_name: str) -> list[FlowRun]:
        query = {"flows": {"name": {"any_": [flow_name]}}, "sort": "START_TIME_ASC"}
        found: list[FlowRun] = self.client.read_flow_runs(msgspec.convert(query, FlowRunQuery))
        return found

    def run(self, flow_name: str) -> FlowRun:
        """The only run of a flow."""
        (found,) = self.runs(flow_name)
        return found

    def states(self, flow_run_id: UUID) -> list[str | None]:
        return [state.name for state in self.client.read_flow_run_states(flow_run_id)]

    def task_runs(self, flow_run_id: UUID, count: int) -> list[TaskRun]:
        query = msgspec.convert(
            {"flow_runs": {"id": {"any_": [flow_run_id]}}, "sort": "NAME_ASC"}, TaskRunQuery, strict=False
        )

        def look() -> list[TaskRun] | None:
            found: list[TaskRun] = self.client.read_task_runs(query)
            return found if len(found) >= count and all(r.end_time or not r.start_time for r in found) else None

        found = eventually(look, 20, f"{count} task runs of {flow_run_id}")
        assert len(found) == count
        return found

    def task_states(self, task_run_id: UUID) -> list[str | None]:
        return [state.name for state in self.client.read_task_run_states(task_run_id)]

    def logs(self, flow_run_id: UUID, message: str) -> list[Log]:
        """The log lines of a run, once one contains `message`."""
        query = msgspec.convert({"logs": {"flow_run_id": {"any_": [flow_run_id]}}}, LogQuery)

        def look() -> list[Log] | None:
            found: list[Log] = self.client.read_logs(query)
            return found if any(message in log.message for log in found) else None

        return eventually(look, 20, f"log line {message!r} of {flow_run_id}")


@pytest.fixture
def history(server: str) -> Iterator[History]:
    with SyncClient(server, settings=Settings()) as client:
        yield History(client)


@pytest.fixture
def history_of() -> Callable[[str], AbstractContextManager[History]]:
    """The history of any server."""

    @contextmanager
    def opened(url: str) -> Iterator[History]:
        with SyncClient(url, settings=Settings()) as client:
            yield History(client)

    return opened


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Names that no other test uses."""
    base: Any = request.node.name.translate(str.maketrans(dict.fromkeys("[]/%&<> ():.,'\"", "-")))
    return lambda name: f"{name}-{base}"
