"""Real servers, workers and commands as processes, for end-to-end tests: `headway …` with a home of its own.

Every wait is bounded; every process is ended by its pid. Output is read by threads, so nothing blocks.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headway.testing.databases import url_of
from headway.testing.waiting import eventually

__all__ = ["Command", "Place", "Program", "ServerProcess", "WorkerProcess"]

HEADWAY = str(Path(sys.executable).with_name("headway"))
START_SECONDS = 60.0
STOP_SECONDS = 30.0


class Program:
    """A running command; `out` and `err` are the lines it has written so far."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: Path) -> None:
        self.command = list(command)
        self.out: list[str] = []
        self.err: list[str] = []
        self.process = subprocess.Popen(
            self.command,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: Any, lines: list[str]) -> None:
        with stream:
            for line in stream:
                lines.append(line.rstrip("\n"))

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def text(self) -> str:
        return "\n".join([*self.out, *self.err])

    def wait_for(self, pattern: str, deadline: float = START_SECONDS) -> re.Match[str]:
        """The first match in what it has written; AssertionError with everything it said if none comes."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.text)
            if found is None and self.process.poll() is not None:
                self._finish()
                if re.search(pattern, self.text) is None:
                    raise RuntimeError(f"{self.command} ended with {self.process.returncode}:\n{self.text}")
            return found

        try:
            return eventually(look, deadline, f"{pattern!r} from {self.command}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text}") from None

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, deadline: float = STOP_SECONDS) -> int:
        """Its exit code."""
        code = self.process.wait(deadline)
        self._finish()
        return code

    def stop(self, deadline: float = STOP_SECONDS) -> int:
        """Ask politely, then kill; harmless on what has ended."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(deadline)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.wait()

    def kill(self) -> None:
        self.process.kill()
        self.wait()

    def _finish(self) -> None:
        for reader in self._readers:
            reader.join(5.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Command:
    """What a finished command said."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class ServerProcess(Program):
    """`headway server start`; `url` is the API's."""

    def __init__(self, place: Place, port: int = 0, **settings: Any) -> None:
        command = [HEADWAY, "server", "start", "--port", str(port)]
        super().__init__(command, place.env(**settings), place.home)
        self.url = self.wait_for(r"https?://[^\s/]+:\d+/api").group(0)
        self.port = int(re.findall(r":(\d+)/", self.url)[0])


class WorkerProcess(Program):
    """`headway worker start`; ready once registered, unless `wait` is off."""

    def __init__(self, place: Place, pool: str, *arguments: str, wait: bool = True, **settings: Any) -> None:
        command = [HEADWAY, "worker", "start", "--pool", pool, *arguments]
        super().__init__(command, place.env(**settings), place.home)
        if wait:
            self.wait_for(r"registered with id")


class Place:
    """A home folder with a server and whatever runs against it; leaving it stops everything."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.url: str | None = None
        self._programs: list[Program] = []

    def env(self, **settings: Any) -> dict[str, str]:
        """The environment of a command: nothing of Headway's is inherited. `settings` are variables without
        prefix, e.g. `server_lease_ttl_seconds=2`."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HEADWAY_", "PREFECT_"))}
        ours = {"HEADWAY_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        if self.url is not None:
            ours["HEADWAY_API_URL"] = self.url
        if not (database := url_of(self.home)).startswith("sqlite"):
            ours["HEADWAY_SERVER_DATABASE_URL"] = database
        return {**kept, **ours, **{f"HEADWAY_{name.upper()}": str(value) for name, value in settings.items()}}

    def server(self, port: int = 0, **settings: Any) -> ServerProcess:
        """Start a server; later commands use it."""
        started = ServerProcess(self, port, **settings)
        self._programs.append(started)
        self.url = started.url
        return started

    def worker(self, pool: str, *arguments: str, wait: bool = True, **settings: Any) -> WorkerProcess:
        started = WorkerProcess(self, pool, *arguments, wait=wait, **settings)
        self._programs.append(started)
        return started

    def program(self, *command: str, **settings: Any) -> Program:
        """Start any other command."""
        started = Program(command, self.env(**settings), self.home)
        self._programs.append(started)
        return started

    def run(self, *arguments: str, check: bool = True, timeout: float = 60.0, **settings: Any) -> Command:
        """Run `headway …` to its end; AssertionError with its output if it fails (unless `check` is off)."""
        done = subprocess.run(
            [HEADWAY, *arguments],
            env=self.env(**settings),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        shown = f"headway {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        assert done.returncode == 0 or not check, shown
        return Command(done)

    def close(self) -> None:
        """Workers end before servers, so that they can still report."""
        workers = [program for program in self._programs if isinstance(program, WorkerProcess)]
        for worker in workers:
            end_worker(worker)
        for program in reversed(self._programs):
            program.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def end_worker(worker: Program) -> None:
    """End a worker and its runs: the second signal stops what still runs, the third leaves at once."""
    for patience in (1.0, 10.0, 5.0):
        if worker.process.poll() is not None:
            break
        worker.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.process.wait(patience)
    worker.stop()
