"""Wiring: which store serves which service, which service answers which routes, which loops run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from headway.core import lazy
from headway.core.clock import AdjustedClock, Clock, SystemClock
from headway.core.errors import HeadwayError
from headway.core.settings import Settings, variables
from headway.server.api import (
    admin,
    attempts,
    claims,
    collections,
    deployments,
    events,
    explain,
    flow_runs,
    flows,
    logs,
    states,
    task_run_reports,
    task_runs,
    transitions,
    work_pools,
    work_queues,
    workers,
)
from headway.server.api.routing import Api, Request, Route
from headway.server.asgi import Gate, asgi_app
from headway.server.installed_types import InstalledDrivers
from headway.server.loop_lag import LoopLag
from headway.server.loops.base import Loop
from headway.server.loops.cancellations import Cancellations
from headway.server.loops.late_runs import LateRuns
from headway.server.loops.pause_expiry import PauseExpiry
from headway.server.loops.pool_status import PoolStatusLoop
from headway.server.loops.pulse import Pulse, adjust
from headway.server.loops.reaper import Reaper
from headway.server.loops.retention import RetentionLoop
from headway.server.loops.scheduler import SchedulerLoop
from headway.server.loops.tally import TallyLoop
from headway.server.services.attempts import AttemptService
from headway.server.services.cancelling import RunCanceller
from headway.server.services.claims import ClaimService
from headway.server.services.deployment_runs import DeploymentRunService
from headway.server.services.deployments import DeploymentService
from headway.server.services.events import EventService
from headway.server.services.explain import ExplainService
from headway.server.services.fencing import Fences
from headway.server.services.flow_run_inputs import FlowRunInputService
from headway.server.services.flow_runs import FlowRunService
from headway.server.services.flows import FlowService
from headway.server.services.graph import GraphService
from headway.server.services.logs import LogService
from headway.server.services.planning import Planner
from headway.server.services.states import StateService
from headway.server.services.task_run_reports import Recorder, TaskRunReportService
from headway.server.services.task_runs import TaskRunService
from headway.server.services.transitions import Transitions
from headway.server.services.wakes import Wakes
from headway.server.services.work_pools import WorkPoolService
from headway.server.services.work_queues import WorkQueueService
from headway.server.services.worker_types import WorkerTypeService
from headway.server.services.workers import WorkerService
from headway.store.attempts import AttemptStore
from headway.store.claims import ClaimStore
from headway.store.database import Database, check_usable, sqlite_path
from headway.store.deployments import DeploymentStore
from headway.store.durability import durability
from headway.store.events import EventStore
from headway.store.explain import ExplainStore
from headway.store.flow_run_inputs import FlowRunInputStore
from headway.store.flow_runs import FlowRunStore
from headway.store.flows import FlowStore
from headway.store.graph import GraphStore
from headway.store.logs import LogStore
from headway.store.migrate import RECORD, TELEMETRY, migrate
from headway.store.notices import Notices
from headway.store.origins import OriginStore
from headway.store.pool_status import PoolStatusStore
from headway.store.presence import Presence
from headway.store.pulse import PulseStore
from headway.store.recording import RecordingStore
from headway.store.retention import RetentionStore
from headway.store.run_records import RunRecordStore
from headway.store.run_times import RunTimes
from headway.store.scheduling import SchedulingStore
from headway.store.states import StateStore
from headway.store.tables import flow_run, task_run
from headway.store.tally import TallyStore
from headway.store.task_runs import TaskRunStore
from headway.store.transitions import TransitionStore
from headway.store.work_pools import WorkPoolStore
from headway.store.work_queues import WorkQueueStore
from headway.store.workers import WorkerStore

if TYPE_CHECKING:
    from starlette.applications import Starlette

_LOAD_AFTER_SECONDS = 1.0


class Server:
    """One process of the control plane, with or without a socket in front of it."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.database = Database(settings.database_url)
        self.clock = clock or (SystemClock() if self.database.is_sqlite else AdjustedClock())
        self.telemetry = _telemetry(settings.database_url)
        self._presences: list[Presence] = []
        self._loading: asyncio.Task[None] | None = None
        self._lag = LoopLag()
        self.wakes = Wakes()
        self.transitions = Transitions(TransitionStore(self.database), self.clock, settings.server, self.wakes)
        pools, queues = WorkPoolStore(self.database), WorkQueueStore(self.database)
        self.types = WorkerTypeService(InstalledDrivers(), pools)
        self.pools = WorkPoolService(pools, queues, self.types, self.clock, RunCanceller(self.transitions), self.wakes)
        silence = settings.server.queue_silence_seconds
        self.queues = WorkQueueService(queues, pools, self.pools, self.clock, silence)
        self.planner = Planner(SchedulingStore(self.database), self.clock, settings.server.scheduler)
        self.scheduler = SchedulerLoop(self.planner, settings.server.scheduler.interval_seconds, self.wakes)
        attempt_store = AttemptStore(self.database)
        self.attempts = AttemptService(attempt_store, self.transitions, self.clock, settings.server)
        records = RunRecordStore(self.database)
        claim_store = ClaimStore(self.database)
        self.claims = ClaimService(claim_store, records, self.transitions, self.clock, settings.server, self.wakes)
        self._attempt_store = attempt_store
        self._loops = [loop for loop in self._all_loops() if getattr(settings.server.loops, loop.name)]
        self._pulses = PulseStore(self.database)
        self._notices: Notices | None = None
        if not self.database.is_sqlite:
            self._share()
        self.api = Api(self._routes())
        self.gate = Gate(self.api, settings.server.api_key)

    def _share(self) -> None:
        """Of several replicas on one database, any may do what there is to do, and each hears of it."""
        self._notices = Notices(self.database, self.wakes.heard, self.wakes.everyone)
        self.wakes.tell = self._notices.tell
        self._loops.append(Pulse(self._pulses, self._loops, self.wakes, self.clock, self.settings.server))

    def _routes(self) -> Iterable[Route]:
        yield from admin.routes(self._is_ready, self._shown_settings, self._durability, self._loop_lag)
        yield from flows.routes(FlowService(FlowStore(self.database), self.clock))
        yield from self._pool_routes()
        yield from transitions.routes(self.transitions)
        yield from claims.routes(self.claims)
        yield from attempts.routes(self.attempts)
        yield from explain.routes(ExplainService(ExplainStore(self.database), self.clock))
        yield from self._run_routes()

    def _all_loops(self) -> Iterable[Loop]:
        ours = self.settings.server
        yield self.scheduler
        yield Reaper(self._attempt_store, self.clock, ours, self.wakes)
        yield LateRuns(self._attempt_store, self.transitions, self.clock, ours)
        yield PauseExpiry(self._attempt_store, self.transitions, self.clock, ours)
        yield Cancellations(self._attempt_store, self.transitions, self.clock, ours)
        statuses = PoolStatusStore(self.database)
        yield PoolStatusLoop(statuses, self.clock, ours.status_interval_seconds, ours.queue_silence_seconds)
        yield TallyLoop(TallyStore(self.database))
        yield RetentionLoop(RetentionStore(self.database, self.telemetry), self.clock, ours.retention)

    def _deployment_routes(self, runs: FlowRunService) -> Iterable[Route]:
        store = DeploymentStore(self.database)
        service = DeploymentService(
            store,
            WorkQueueStore(self.database),
            self.pools,
            self.queues,
            self.clock,
            scheduler=self.scheduler,
            canceller=RunCanceller(self.transitions),
        )
        origins = OriginStore(self.database)
        made = DeploymentRunService(
            service, self.pools, self.transitions, self.planner, runs, store, origins, self.clock
        )
        yield from deployments.routes(service, made)

    def _run_routes(self) -> Iterable[Route]:
        database, clock = self.database, self.clock
        lines = LogStore(self.telemetry)
        fences = Fences(self._attempt_store)
        log_service = LogService(lines, clock, fences)
        runs = FlowRunService(FlowRunStore(database), RunTimes(database, flow_run), lines, self.transitions, clock)
        inputs = FlowRunInputService(FlowRunInputStore(database), clock)
        yield from transitions.bulk_routes(self.transitions, runs)
        yield from flow_runs.routes(runs, inputs, GraphService(GraphStore(database)), log_service)
        yield from task_runs.routes(TaskRunService(TaskRunStore(database), RunTimes(database, task_run), clock))
        yield from states.routes(
            StateService(StateStore.of_flow_runs(database), "Flow run state"),
            StateService(StateStore.of_task_runs(database), "Task run state"),
        )
        recorder, kept = Recorder(RecordingStore(database)), EventStore(database, self.telemetry)
        yield from events.routes(EventService(recorder, kept, clock, fences))
        yield from task_run_reports.routes(TaskRunReportService(recorder, kept, clock, fences))
        yield from logs.routes(log_service)
        yield from self._deployment_routes(runs)

    def _pool_routes(self) -> Iterable[Route]:
        yield from work_pools.routes(self.pools)
        yield from work_queues.routes(self.queues)
        yield from workers.routes(WorkerService(WorkerStore(self.database), self.pools, self.types, self.clock))
        yield from collections.routes(self.types)

    async def _is_ready(self) -> bool:
        try:
            await self.database.read(lambda connection: connection.execute(text("SELECT 1")).scalar_one())
        except HeadwayError:
            return False
        return True

    async def _durability(self) -> dict[str, dict[str, str]]:
        """Of the connection that writes states, and of the one that writes logs and events."""
        return {"record": await self.database.write(durability), "telemetry": await self.telemetry.write(durability)}

    def _loop_lag(self, reset: bool) -> dict[str, float]:
        return self._lag.read(reset=reset)

    def _shown_settings(self) -> dict[str, Any]:
        return {
            variable.name: "********" if variable.secret else _plain(_value(self.settings, variable.name))
            for variable in variables()
        }

    async def start(self, *, loops: bool = True) -> None:
        """Check and migrate the database, then start the loops that are switched on."""
        await asyncio.to_thread(self._prepare)
        if self._notices is not None:
            await self._set_clock()
            await self._notices.start()
        if loops:
            await self.start_loops()

    async def start_loops(self) -> None:
        """Begin what the server does by itself; whoever serves over HTTP answers first."""
        for loop in self._loops:
            await loop.start()
        self._loading = asyncio.create_task(_load_later())

    async def _set_clock(self) -> None:
        asked = asyncio.get_running_loop().time()
        adjust(self.clock, await self._pulses.time(), asyncio.get_running_loop().time() - asked)

    def _prepare(self) -> None:
        for database, lineage in ((self.database, RECORD), (self.telemetry, TELEMETRY)):
            check_usable(database)
            presence = Presence(database.url)
            presence.enter()
            self._presences.append(presence)
            migrate(database, lineage, presence)

    async def stop(self) -> None:
        """Stop the loops, finish what is under way, close the databases; stopping twice is harmless."""
        self.wakes.close()
        if self._loading is not None:
            self._loading.cancel()
        if self._notices is not None:
            await self._notices.stop()
        for loop in reversed(self._loops):
            await loop.stop()
        await self._lag.stop()
        await self.transitions.close()
        await self.database.close()
        await self.telemetry.close()
        while self._presences:
            self._presences.pop().leave()

    async def request(
        self, method: str, path: str, query: str = "", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One API request without a socket: the embedded transport."""
        response = await self.api.handle(Request(method, path, query, headers or {}, body))
        return response.status, response.headers, response.body

    def asgi(self, *, manage: bool = True) -> Starlette:
        """The same server behind HTTP; with `manage` it starts and stops with the ASGI lifespan."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            await self.start()
            try:
                yield
            finally:
                await self.stop()

        return asgi_app(self.api, self.gate, lifespan if manage else None)


def create_app(settings: Settings, clock: Clock | None = None) -> Server:
    """A server that is wired but not started."""
    return Server(settings, clock)


def embedded(settings: Settings) -> Server:
    """The server that lives inside a client's process: same code, no socket, no loops but over its own runs."""
    return Server(settings)


async def _load_later() -> None:
    """Import what was left out to answer sooner, before a request needs it and has to wait."""
    await asyncio.sleep(_LOAD_AFTER_SECONDS)
    await asyncio.to_thread(lazy.load)


def _telemetry(url: str) -> Database:
    path = sqlite_path(url)
    if path is None:
        return Database(url, name="telemetry", readers=2, writers=2)
    beside = path.with_name(f"{path.stem}-telemetry{path.suffix}")
    # Logs and events may lose the last commits in a power cut; states never do.
    return Database(f"sqlite:///{beside}", synchronous="NORMAL")


def _value(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


__all__ = ["Server", "create_app", "embedded"]
