"""The two servers of the live comparison, each a process with a home of its own on a free port."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[3]
VENV = Path(os.environ.get("HEADWAY_REFERENCE_VENV", ROOT / ".cache" / "reference-3.8.8"))
PACKAGES = ["prefect==3.8.8", "fastapi<0.151", "sqlalchemy<2.1"]
START_SECONDS = 120.0
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
}
LOOPS = ("SCHEDULER", "LATE", "PAUSES", "STATUS", "REAPER", "CANCELLATIONS", "RETENTION")


@dataclass(frozen=True)
class Answer:
    """Status and body of a reply; `value` is the body as JSON, or a description of what it is instead."""

    status: int
    value: Any


class Server:
    """One running server and what it was asked so far."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], home: Path, port: int) -> None:
        self.name = name
        self.log = home / "server.log"
        home.mkdir(parents=True, exist_ok=True)
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "HEADWAY_"))}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, env={**clean, **env}, stdout=output, stderr=output, cwd=home)
        self.url = f"http://127.0.0.1:{port}/api"

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended: {self.log.read_text()[-2000:]}")
            try:
                if self.ask("GET", "/health").status == 200:
                    return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError(f"{self.name} is not ready: {self.log.read_text()[-2000:]}")

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """One request; a 503 (the reference's locked database) is repeated a few times."""
        for _ in range(10):
            answer = self._ask(method, path, body)
            if answer.status != 503:
                break
            time.sleep(0.3)
        return answer

    def _ask(self, method: str, path: str, body: Any) -> Answer:
        data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return Answer(reply.status, read(reply.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, read(error.read()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)


def read(body: bytes) -> Any:
    if not body:
        return {"(no body)": True}
    try:
        return json.loads(body)
    except ValueError:
        return {"(not JSON)": True}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def reference_python() -> Path:
    """The interpreter of an environment that has the reference, made on first use."""
    python = VENV / "bin" / "python"
    VENV.parent.mkdir(parents=True, exist_ok=True)
    with VENV.with_suffix(".lock").open("w") as lock:  # tests that run side by side install it once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (VENV / "bin" / "prefect").exists():
            venv.create(VENV, with_pip=True, clear=True)
            pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
            subprocess.run([*pip, *PACKAGES], check=True, timeout=1200)
    return python


def reference(home: Path) -> Server:
    """Prefect 3.8.8 as a server, with its background services switched off."""
    python, port = reference_python(), free_port()
    command = [str(python), "-m", "prefect", "server", "start", "--port", str(port), "--no-ui"]
    return Server("reference", command, {**QUIET, "PREFECT_HOME": str(home)}, home, port)


def headway(home: Path) -> Server:
    """Headway as a server, with its loops switched off."""
    port = free_port()
    program = str(Path(sys.executable).with_name("headway"))
    off = {f"HEADWAY_SERVER_LOOPS_{loop}": "off" for loop in LOOPS}
    command = [program, "server", "start", "--port", str(port)]
    return Server("headway", command, {**off, "HEADWAY_HOME": str(home)}, home, port)
