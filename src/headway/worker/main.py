"""The worker as a program: `run_worker(WorkerOptions(pool=…))` connects, registers, works, and says how it went.

Exit codes: 0 after a clean stop, 1 when it could not start or could not go on.
Signals: the first SIGTERM or SIGINT drains, the second stops the runs, the third leaves at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from uuid import uuid4

from headway.client import Client
from headway.core.errors import HeadwayError
from headway.core.profiles import load_settings
from headway.core.server_lock import serving_url
from headway.core.settings import Settings
from headway.drivers.base import Driver, DriverContext, base_job_template
from headway.drivers.registry import DriverRegistry
from headway.wire.work_pools import WorkPool
from headway.wire.workers import WorkerRegister
from headway.worker.attempt import Tools
from headway.worker.delivery import LONGEST_PAUSE, is_transient
from headway.worker.jobs import RunEnvironment
from headway.worker.loop import LONGEST_WAIT, Pace, Worker
from headway.worker.memory import Memory
from headway.worker.reporting import Reporter

__all__ = ["WorkerOptions", "run_worker"]

DEFAULT_URL = "http://127.0.0.1:4200/api"
REQUEST_SECONDS = 30.0 + LONGEST_WAIT
logger = logging.getLogger("headway.worker")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What the command line asks for. No `type`: the pool's. No `work_queues`: all of the pool's, new ones too.
    No `limit`: as many runs at once as there are."""

    pool: str
    type: str | None = None
    name: str | None = None
    work_queues: tuple[str, ...] = ()
    limit: int | None = None
    run_once: bool = False
    api_url: str | None = None
    api_key: str | None = None


def run_worker(
    options: WorkerOptions,
    registry: DriverRegistry | None = None,
    settings: Settings | None = None,
    say: Say | None = None,
    complain: Say | None = None,
) -> int:
    """Run a worker until it is told to stop. `say` gets what is for standard output, `complain` for error."""
    complain = complain or line_writer(sys.stderr.fileno())
    program: Program | None = None
    try:
        chosen = settings or load_settings()
        logging.basicConfig(
            level=chosen.worker.log_level, format="%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S"
        )
        program = Program(
            options, chosen, registry or DriverRegistry.installed(), say or line_writer(sys.stdout.fileno()), complain
        )
        return asyncio.run(program.run())
    except HeadwayError as error:
        code = getattr(error, "code", None)
        complain(f"{code or 'Error'}: {error.message}")
        complain("Worker stopped." if program and program.is_working else "Worker failed to start.")
        return 1


def line_writer(fd: int) -> Say:
    """Writes whole lines at once, so that lines of several runs never mix; a closed output is ignored."""

    def write(text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(fd, f"{text}\n".encode(errors="replace"))

    return write


class Program:
    def __init__(
        self, options: WorkerOptions, settings: Settings, registry: DriverRegistry, say: Say, complain: Say
    ) -> None:
        self._options = options
        self._settings = settings
        self._registry = registry
        self._say = say
        self._complain = complain
        self._signals = 0
        self._worker: Worker | None = None
        self._task: asyncio.Task[int] | None = None

    @property
    def is_working(self) -> bool:
        """Whether it has registered."""
        return self._worker is not None

    async def run(self) -> int:
        """The exit code. Raises HeadwayError for what keeps the worker from starting or going on."""
        loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(self._work())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        try:
            return await self._task
        except asyncio.CancelledError:
            return 0 if self._worker is None else 1
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _signalled(self, number: int) -> None:
        self._signals += 1
        name = signal.Signals(number).name
        if self._worker is None or self._signals > 2:
            self._complain(f"{name}: leaving at once." + (" Runs go on without this worker." if self._worker else ""))
            assert self._task is not None
            self._task.cancel()
        elif self._signals == 1:
            count = len(self._worker.flow_run_ids)
            waiting = f"waiting for {count} running. Once more stops {'it' if count == 1 else 'them'}."
            self._complain(f"{name}: no new work; {waiting if count else 'nothing is running.'}")
            self._worker.drain()
        else:
            self._complain(f"{name}: stopping what is running. Once more leaves at once.")
            self._worker.stop_runs()

    async def _work(self) -> int:
        async with self._connected() as (client, pool):
            type = self._options.type or pool.type
            driver = self._driver(type, pool)
            name = self._options.name or f"{type}-{socket.gethostname()}-{uuid4().hex[:6]}"
            memory = Memory(self._settings.home, pool.name, name)
            try:
                registration = self._registration(type, name, driver, memory)
                await self._register(client, pool, registration)
                assert driver is not None, "the server refuses a type that is not the pool's"
                await driver.prepare()
                worker = Worker(
                    Tools(client, driver, memory, self._say, Reporter(client, pool.name)),
                    pool.name,
                    registration,
                    RunEnvironment(client.url, self._options.api_key or self._settings.api_key),
                    self._pace(),
                )
                self._worker = worker
                await self._until_done(client, worker, pool.name, name)
            finally:
                memory.close(clean=not memory.attempts())
                if driver is not None:
                    await driver.close()
        return 0

    async def _until_done(self, client: Client, worker: Worker, pool: str, name: str) -> None:
        await worker.run(once=self._options.run_once)
        with contextlib.suppress(HeadwayError):
            await client.worker_offline(pool, name)
        self._say("Worker stopped.")

    # -- connecting

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[Client, WorkPool]]:
        """A client and the pool, as soon as a server answers; says why it waits."""
        pause = 0.5
        while True:
            async with self._client() as client:
                try:
                    pool = await client.read_work_pool(self._options.pool)
                except HeadwayError as error:
                    if not is_transient(error):
                        raise
                    self._complain(f"{error.message} Trying again in {pause:g} s.")
                else:
                    yield client, pool
                    return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _client(self) -> Client:
        """A client that does not repeat by itself: the worker's loops do, and tell. Where the server is, is
        asked anew each time: the setting, else the server of this home, else the default port."""
        settings = self._settings
        url = self._options.api_url or settings.api_url or serving_url(settings.home) or DEFAULT_URL
        limits = replace(
            settings.client, retries=0, timeout_seconds=min(settings.client.timeout_seconds, REQUEST_SECONDS)
        )
        return Client(url, self._options.api_key, settings=replace(settings, client=limits))

    # -- registering

    def _driver(self, type: str, pool: WorkPool) -> Driver | None:
        """The driver; None for an unknown type that is not the pool's, which the server refuses in its words."""
        if type not in self._registry.types() and type != pool.type:
            return None
        variables = pool.base_job_template.get("variables", {}).get("properties", {})
        defaults = {name: value["default"] for name, value in variables.items() if "default" in value}
        return self._registry.load(type)(DriverContext(home=self._settings.home, pool=pool.name, defaults=defaults))

    def _registration(self, type: str, name: str, driver: Driver | None, memory: Memory) -> WorkerRegister:
        return WorkerRegister(
            type=type,
            name=name,
            work_queues=list(self._options.work_queues),
            limit=self._options.limit,
            flow_run_ids=[record.flow_run_id for record in memory.attempts()],
            heartbeat_interval_seconds=self._settings.worker.heartbeat_seconds,
            base_job_template=base_job_template(driver.Configuration) if driver else None,
            client="headway",
            worker_id=memory.worker_id,
        )

    async def _register(self, client: Client, pool: WorkPool, registration: WorkerRegister) -> None:
        while True:
            try:
                answer = await client.register_worker(pool.name, registration)
                break
            except HeadwayError as error:
                if not is_transient(error):
                    raise
                self._complain(f"{error.message} Trying again.")
            await asyncio.sleep(1.0)
        registration.worker_id = answer.worker_id
        chosen = ", ".join(self._options.work_queues)
        known = ", ".join(answer.work_queues)
        self._say(f"Worker type: {answer.type}")
        self._say(f"Work pool: {answer.work_pool_name}")
        self._say(f"Work queue: {chosen or f'all ({known})'}")
        self._say(f"Connected to {client.url}")
        self._say(f"Worker '{answer.name}' registered with id {answer.worker_id}")

    def _pace(self) -> Pace:
        worker = self._settings.worker
        renew = self._settings.server.lease.renew_seconds
        return Pace(
            wait=min(LONGEST_WAIT, self._settings.client.timeout_seconds / 2),
            poll=worker.poll_seconds,
            heartbeat=worker.heartbeat_seconds,
            renew=renew,
            stop_grace=worker.stop_grace_seconds,
        )
