"""What every target shares: a home folder, a server process, an API connection for setting things up, workers.

A target is used like this: `start` → `fresh` set-up through `api` → `load`, `cpu` and so on → `stop`. `restart`
stops and starts on the same database. Stopping twice is harmless.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bench import processes
from headway.testing.processes import Program

if TYPE_CHECKING:
    from bench.datasets import Content

HEALTHY_SECONDS = 180.0
REFUSED = (429, 503)


class BenchError(Exception):
    """The benchmark cannot go on; the message says why in one line."""


class Api:
    """A blocking keep-alive connection for setting up and looking; not for load."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._base = parts.path.rstrip("/")
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The reply as JSON; a 503 is repeated after a back-off. BenchError on any other refusal."""
        status, value = 503, None
        for pause in (0.2, 0.5, 1, 2, 4, 8, 8, 8):
            try:
                status, value = self._once(method, path, body)
            except ConnectionError:  # servers close connections that have been idle
                status, value = self._once(method, path, body)
            if status not in REFUSED:
                break
            time.sleep(pause)
        if status >= 400:
            raise BenchError(f"{method} {path} was answered with {status}: {str(value)[:300]}")
        return value

    def _once(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        try:
            self._connection.request(method, self._base + path, data, {"Content-Type": "application/json"})
            reply = self._connection.getresponse()
            raw = reply.read()
        except (http.client.HTTPException, ConnectionError):
            self._connection.close()
            raise
        return reply.status, json.loads(raw) if raw else None

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        return self.ask("POST", path, {} if body is None else body)

    def close(self) -> None:
        self._connection.close()


class Target(ABC):
    """One system on one database."""

    name: str
    package: str
    """What a flow's script imports `flow` and `task` from."""
    prefix: str
    """Of its environment variables."""

    def __init__(self, database: str, home: Path, settings: Mapping[str, str] | None = None) -> None:
        self.database = database
        self.home = home
        self.settings = dict(settings or {})
        """Variables that differ from what the system ships with; shown in the report."""
        self.server: Program | None = None
        self.url = ""
        self.programs: list[Program] = []
        self._api: Api | None = None
        home.mkdir(parents=True, exist_ok=True)

    @property
    def label(self) -> str:
        return f"{self.name}-{self.database}"

    @property
    def flavour(self) -> str:
        """What else decides what a kept database looks like."""
        return ""

    @property
    @abstractmethod
    def python(self) -> Path:
        """Interpreter of the environment that has the system."""

    @abstractmethod
    def command(self, *arguments: str) -> list[str]:
        """The system's CLI."""

    @abstractmethod
    def server_settings(self) -> dict[str, str]:
        """Variables the server needs to run here: its home, its database."""

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Of the system and of what it runs on."""

    @abstractmethod
    def durability(self) -> dict[str, Any]:
        """Durability settings of the running server. BenchError when a commit is not made durable."""

    def syncs_per_commit(self) -> float | None:
        """How often the running server syncs a file for each commit, counted from outside; None: not known."""
        return None

    def changed_settings(self) -> dict[str, str]:
        """Settings of system and database that differ from what they ship with."""
        return self.settings

    @abstractmethod
    def loop_lag(self, *, reset: bool) -> dict[str, float]:
        """p99_ms and max_ms since the last reset; empty where the system does not tell."""

    @property
    def api(self) -> Api:
        if self._api is None:
            raise BenchError(f"{self.label} is not running")
        return self._api

    @abstractmethod
    def clear(self) -> None:
        """Give the stopped target an empty database."""

    @abstractmethod
    def fill(self, content: Content) -> None:
        """Write runs into the database of the stopped target, past the system."""

    @abstractmethod
    def keep(self, name: str) -> None:
        """Keep the stopped target's database under that name, for later runs too."""

    @abstractmethod
    def restore(self, name: str) -> bool:
        """Make the stopped target's database the one kept under that name; False if there is none."""

    def env(self) -> dict[str, str]:
        """Environment of a command: nothing of either system's is inherited."""
        # PYTHON…: with e.g. PYTHONDONTWRITEBYTECODE every start would compile all sources, which users' do not.
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HEADWAY_", "PREFECT_", "PYTHON"))}
        ours = {**self.server_settings(), **self.settings, "PYTHONUNBUFFERED": "1", "DO_NOT_TRACK": "1"}
        if self.url:
            ours[f"{self.prefix}API_URL"] = self.url
        return {**kept, **ours}

    def start(self) -> float:
        """Start the server; seconds until it answered that it is healthy."""
        self.url = ""
        with socket.socket() as probe:  # both systems are given the port, so that both are started alike
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        begun = time.perf_counter()
        self.server = Program(self.command("server", "start", "--port", str(port)), self.env(), self.home)
        self.url = f"http://127.0.0.1:{port}/api"
        self._wait_until_healthy(begun)
        seconds = time.perf_counter() - begun
        self._api = Api(self.url)
        return seconds

    def _wait_until_healthy(self, begun: float) -> None:
        assert self.server is not None
        while time.perf_counter() - begun < HEALTHY_SECONDS:
            if self.server.process.poll() is not None:
                raise BenchError(
                    f"{self.label} ended with {self.server.process.returncode}: {self.server.text[-1500:]}"
                )
            api = Api(self.url)
            try:
                if api.get("/health") is True:
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)
            finally:
                api.close()
        raise BenchError(f"{self.label} is not healthy after {HEALTHY_SECONDS:g} s: {self.server.text[-1500:]}")

    def stop_server(self) -> None:
        if self._api is not None:
            self._api.close()
            self._api = None
        if self.server is not None:
            self.server.stop()
            self.server = None

    def stop(self) -> None:
        """Stop workers and other programs, then the server."""
        for program in reversed(self.programs):
            for _ in range(3):  # the first signal lets runs finish, the others do not
                if program.process.poll() is None:
                    program.signal(signal.SIGTERM)
                    try:
                        program.process.wait(2)
                    except subprocess.TimeoutExpired:
                        continue
            program.stop(5)
        self.programs.clear()
        self.stop_server()

    def remove(self) -> None:
        """Stop, and throw away what is outside the home folder."""
        self.stop()

    def program(self, command: Sequence[str], **more: str) -> Program:
        """Start a command that `stop` ends."""
        started = Program(command, {**self.env(), **more}, self.home)
        self.programs.append(started)
        return started

    def run(self, command: Sequence[str], timeout: float = 300.0) -> str:
        """Run a command to its end and return what it printed."""
        done = subprocess.run(
            command, env=self.env(), cwd=self.home, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode != 0:
            raise BenchError(
                f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-800:]}{done.stderr[-800:]}"
            )
        return done.stdout

    def worker(self, pool: str, *arguments: str) -> Program:
        """A process worker that has begun to ask for work."""
        started = self.program(self.command("worker", "start", "--pool", pool, *arguments))
        started.wait_for(self.worker_ready, 60)
        return started

    worker_ready: str
    """What a worker prints once it is ready."""

    @property
    def server_pid(self) -> int:
        assert self.server is not None
        return self.server.pid

    def server_cpu(self) -> float:
        """CPU seconds of all server processes."""
        return processes.cpu_seconds(self.server_pid)

    def database_cpu(self) -> float:
        """CPU seconds of the database's own processes; 0 for SQLite."""
        return 0.0
