"""A server that goes away in the middle of a run: nothing blocks, nothing is lost, a warning says so."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headway import flow, get_run_logger, task
from headway.core.errors import ServerUnreachable
from headway.testing.processes import Place

Unique = Callable[[str], str]


@task
def step(x: int) -> int:
    get_run_logger().info("step %d", x)
    return x


@pytest.mark.timeout(240)
def test_a_run_outlives_a_dead_server_and_all_of_it_is_there_when_the_server_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, history_of: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADWAY_HOME", str(tmp_path / "own"))
    with Place(tmp_path / "home") as place:
        server = place.server()
        monkeypatch.setenv("HEADWAY_API_URL", str(place.url))
        took: list[float] = []
        began, died, worked = threading.Event(), threading.Event(), threading.Event()

        @flow
        def survives() -> int:
            step(0)
            began.set()
            assert died.wait(60)
            started = time.monotonic()
            total = sum(step(x) for x in range(1, 51))
            took.append(time.monotonic() - started)
            worked.set()
            return total

        outcome: list[Any] = []
        running = threading.Thread(target=lambda: outcome.append(survives()))
        running.start()
        assert began.wait(60)  # not "the server says Running": the answer to that may still be on its way
        server.signal(signal.SIGKILL)
        server.wait()
        died.set()
        assert worked.wait(60)
        assert took[0] < 10  # not one of the fifty tasks waited for the server
        place.server(port=server.port)
        running.join(120)
        assert outcome == [sum(range(51))]
        with history_of(place.url) as history:
            run = history.run("survives")
            assert run.state_name == "Completed"
            assert {t.state_name for t in history.task_runs(run.id, 51)} == {"Completed"}
            messages = [log.message for log in history.logs(run.id, "step 50")]
            assert sorted(m for m in messages if m.startswith("step")) == sorted(f"step {x}" for x in range(51))
    assert "kept in memory" in capfd.readouterr().err


def test_a_script_without_its_server_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    monkeypatch.setenv("HEADWAY_HOME", str(tmp_path))
    monkeypatch.setenv("HEADWAY_API_URL", f"http://127.0.0.1:{unused_port}/api")
    monkeypatch.setenv("HEADWAY_CLIENT_RETRIES", "0")

    @flow
    def lonely() -> None: ...

    with pytest.raises(ServerUnreachable, match=r"No server answers at http.*headway server start") as caught:
        lonely()
    assert "\n" not in str(caught.value)


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
