"""Persisted results, read back by another process over file:// and over a remote fsspec server."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from headway import flow, state_of, task
from headway.core.errors import SerializationError

Unique = Callable[[str], str]

READER = """
import sys
from uuid import UUID
from headway import get_client, state_of
with get_client(sync_client=True) as client:
    print(state_of(client.read_flow_run(UUID(sys.argv[1]))).result())
"""


class Store(BaseHTTPRequestHandler):
    """A file server that takes PUT: what is real about a remote store is the wire."""

    files: dict[str, bytes]

    def do_PUT(self) -> None:
        self.files[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        content = self.files.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def remote() -> Iterator[tuple[str, dict[str, bytes]]]:
    """URL and contents of a store on loopback."""
    files: dict[str, bytes] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OwnStore", (Store,), {"files": files}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/results", files
    server.shutdown()
    server.server_close()
    thread.join(10)


def read_elsewhere(flow_run_id: Any) -> str:
    """What another process reads as the run's result."""
    command = [sys.executable, "-c", READER, str(flow_run_id)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("serializer", ["pickle", "json", "compressed/json"])
def test_another_process_reads_a_result_over_file_urls(
    history: Any, unique: Unique, tmp_path: Path, serializer: str
) -> None:
    @flow(name=unique("kept"), result_storage=f"file://{tmp_path}/results", result_serializer=serializer)
    def kept() -> dict[str, list[int]]:
        return {"a": [1, 2]}

    kept()
    run = history.run(unique("kept"))
    assert run.state.data["serializer"] == serializer
    assert read_elsewhere(run.id) == "{'a': [1, 2]}"


def test_another_process_reads_a_result_from_a_remote_server(
    history: Any, unique: Unique, remote: tuple[str, dict[str, bytes]]
) -> None:
    url, files = remote

    @flow(name=unique("far"), result_storage=url, result_serializer="json")
    def far() -> str:
        return "from afar"

    far()
    run = history.run(unique("far"))
    (content,) = files.values()
    assert b"from afar" in content
    assert read_elsewhere(run.id) == "from afar"


def test_a_remote_store_also_serves_the_cache(
    server: str, unique: Unique, remote: tuple[str, dict[str, bytes]]
) -> None:
    calls: list[int] = []

    @task(cache_key_fn=lambda context, parameters: f"k{parameters['x']}", result_storage=remote[0])
    def cached(x: int) -> int:
        calls.append(x)
        return x * 10

    @flow(name=unique("caches"))
    def caches() -> list[int]:
        return [cached(1), cached(1), cached(2)]

    assert caches() == [10, 10, 20]
    assert calls == [1, 2]
    assert set(remote[1]) == {"/results/k1", "/results/k2"}


def test_tasks_inherit_the_flows_storage_and_may_name_their_keys(server: str, unique: Unique, tmp_path: Path) -> None:
    @task(persist_result=True, result_storage_key="part-{parameters[x]}")
    def part(x: int) -> int:
        return x

    @flow(name=unique("inherits"), result_storage=str(tmp_path / "store"))
    def inherits() -> int:
        return part(7)

    inherits()
    assert (tmp_path / "store/part-7").is_file()


def test_the_history_of_a_task_run_says_where_its_result_is(history: Any, unique: Unique, tmp_path: Path) -> None:
    @task(persist_result=True, result_storage=str(tmp_path))
    def kept() -> int:
        return 5

    @flow(name=unique("parent"))
    def parent() -> None:
        kept()

    parent()
    (task_run,) = history.task_runs(history.run(unique("parent")).id, 1)
    assert task_run.state.data["storage"] == str(tmp_path)


def test_a_result_that_cannot_be_kept_fails_its_run_with_the_remedy(history: Any, unique: Unique) -> None:
    @flow(name=unique("odd"), result_serializer="json")
    def odd() -> Any:
        return object()

    with pytest.raises(SerializationError, match="result_serializer='pickle'"):
        odd()
    run = history.run(unique("odd"))
    assert run.state_name == "Failed"
    with pytest.raises(Exception, match="no JSON form"):
        state_of(run).result()
