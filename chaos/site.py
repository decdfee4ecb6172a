"""The processes of a round: servers, a relay in front of replicas, PostgreSQL, workers. All on 127.0.0.1, all stopped
by pid.

Only workers and what they start carry the round's marker in their environment; that is how "nothing is left" is
seen from outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from chaos.api import Api
from chaos.evidence import Journal
from chaos.plan import Plan
from chaos.processes import MARKER
from headway.testing.postgres import Cluster

__all__ = ["Child", "Replica", "Site", "WorkerSlot"]

HEADWAY = str(Path(sys.executable).with_name("headway"))
HERE = Path(__file__).parent
START_SECONDS = 60.0
POOL = "chaos"


class Child:
    """A program whose output goes to a file."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path, **more: Any) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        with log.open("ab") as output:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output, **more}
            self.process = subprocess.Popen(
                list(command), env=dict(env), cwd=log.parent, start_new_session=True, **pipes
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        if self.lives:
            self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, patience: float = 15.0) -> None:
        """Ask politely, then kill; harmless on what has ended."""
        if self.lives:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
                return
        self.kill()


class Replica:
    """One server; started again on the port it had."""

    def __init__(self, site: Site, number: int) -> None:
        self._site = site
        self.number = number
        self.port = 0
        self.child: Child | None = None
        self.starts = 0
        self.busy = asyncio.Lock()  # one fault at a time per replica

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def pid(self) -> int:
        assert self.child is not None
        return self.child.pid

    async def start(self) -> None:
        """Returns once it answers."""
        self.starts += 1
        self.port = self.port or free_port()
        command = [HEADWAY, "server", "start", "--port", str(self.port)]
        self.child = Child(command, self._site.server_env(self.number), self._site.folder / f"server-{self.number}.log")
        await self.answers()

    async def answers(self) -> None:
        """Wait until a request that needs the database is answered."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self.child is not None
            if not self.child.lives:
                raise RuntimeError(f"server {self.number} ended:\n{self.child.log.read_text()[-2000:]}")
            with contextlib.suppress(Exception):
                status, _ = await self._site.api.once("POST", "/work_pools/filter", {}, url=self.url)
                if status == 200:
                    return
            if time.monotonic() > deadline:
                raise RuntimeError(f"server {self.number} does not answer:\n{self.child.log.read_text()[-2000:]}")
            await asyncio.sleep(0.05)


class WorkerSlot:
    """A place where a worker lives; whoever dies is replaced, every other time under the same name."""

    def __init__(self, site: Site, number: int, home: Path, prefix: Sequence[str] = (), url: str = "") -> None:
        self._site = site
        self.number = number
        self.home = home
        self._prefix = list(prefix)
        self._url = url
        self.generation = 0
        self.child: Child | None = None
        self.busy = asyncio.Lock()

    @property
    def name(self) -> str:
        return f"w{self.number}-{(self.generation + 1) // 2}"

    def start(self) -> None:
        self.generation += 1
        arguments = [
            "worker",
            "start",
            "--pool",
            POOL,
            "--name",
            self.name,
            "--limit",
            str(self._site.plan.worker_limit),
        ]
        env = self._site.worker_env(self.home, self._url or self._site.url, f"w{self.number}.{self.generation}")
        self.child = Child([*self._prefix, HEADWAY, *arguments], env, self._site.folder / f"worker-{self.number}.log")

    @property
    def tag(self) -> str:
        """What its runs say in their start record."""
        return f"w{self.number}.{self.generation}"


class Site:
    """Everything of a round that runs beside its clients."""

    def __init__(self, plan: Plan, folder: Path, marker: str, faults: Journal) -> None:
        self.plan = plan
        self.folder = folder
        self.marker = marker
        self.faults = faults
        self.cluster: Cluster | None = None
        self.database_url: str | None = None
        self.replicas: list[Replica] = []
        self.workers: list[WorkerSlot] = []
        self.api = Api([])
        self._relay: Child | None = None
        self.url = ""
        self._stack = contextlib.ExitStack()

    async def start(self, database_folder: Path | None = None) -> None:
        if self.plan.database == "postgresql":
            self.cluster = await asyncio.to_thread(self._stack.enter_context, Cluster())
            self.database_url = self.cluster.new_database()
        elif database_folder is not None:
            self.database_url = f"sqlite:///{database_folder / 'headway.db'}"
        await self.api.__aenter__()
        for number in range(1 if self.cluster is None else 2):
            replica = Replica(self, number)
            self.replicas.append(replica)
            await replica.start()
        self.api.urls = [replica.url for replica in self.replicas]
        self.url = self.api.urls[0]
        if len(self.replicas) > 1:
            self.url = f"http://{self._start_relay()}/api"

    def _start_relay(self) -> str:
        self._relay, address = relay(
            "127.0.0.1:0", [f"127.0.0.1:{replica.port}" for replica in self.replicas], self.folder / "relay.log"
        )
        return address

    async def start_workers(self, count: int) -> None:
        for number in range(count):
            self.add_worker(self.folder / "machine-a")
            del number

    def add_worker(self, home: Path, prefix: Sequence[str] = (), url: str = "") -> WorkerSlot:
        slot = WorkerSlot(self, len(self.workers), home, prefix, url)
        self.workers.append(slot)
        slot.start()
        return slot

    async def stop_workers(self) -> None:
        """Two signals: drain, then stop the runs; then whoever is left is killed."""
        for patience in (5.0, 20.0):
            for slot in self.workers:
                if slot.child is not None:
                    slot.child.signal(signal.SIGCONT)
                    slot.child.signal(signal.SIGTERM)
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline and any(slot.child and slot.child.lives for slot in self.workers):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        for slot in self.workers:
            if slot.child is not None:
                slot.child.kill()

    async def stop(self) -> None:
        for slot in self.workers:
            if slot.child is not None:
                slot.child.kill()
        for replica in self.replicas:
            if replica.child is not None:
                await asyncio.to_thread(replica.child.stop)
        if self._relay is not None:
            self._relay.stop()
        await self.api.__aexit__(None, None, None)
        await asyncio.to_thread(self._stack.close)

    # -- environments

    def _env(self, home: Path, **settings: Any) -> dict[str, str]:
        home.mkdir(parents=True, exist_ok=True)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HEADWAY_", "PREFECT_", "CHAOS_"))}
        ours = {f"HEADWAY_{name.upper()}": str(value) for name, value in settings.items()}
        return {**kept, "HEADWAY_HOME": str(home), "PYTHONUNBUFFERED": "1", **ours}

    def server_env(self, number: int) -> dict[str, str]:
        more = {} if self.database_url is None else {"server_database_url": self.database_url}
        return self._env(self.folder / f"server-{number}", **self.plan.server_settings(), **more)

    def worker_env(self, home: Path, url: str, tag: str) -> dict[str, str]:
        env = self._env(home, api_url=url, **self.plan.worker_settings())
        return {**env, MARKER: self.marker, "CHAOS_WORKER": tag}


def relay(listen: str, targets: Sequence[str], log: Path, prefix: Sequence[str] = ()) -> tuple[Child, str]:
    """A relay (see chaos.relay) and the address it listens on."""
    arguments = [sys.executable, "-m", "chaos.relay", "--listen", listen]
    for target in targets:
        arguments += ["--to", target]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])}
    child = Child([*prefix, *arguments], env, log, stdout=subprocess.PIPE)
    said: IO[bytes] | None = child.process.stdout
    assert said is not None
    with said:
        return child, said.readline().decode().strip()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
