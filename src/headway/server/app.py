"""Wiring: which store serves which service, which service answers which routes, which loops run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import text
from starlette.applications import Starlette

from headway.core.clock import Clock, SystemClock
from headway.core.errors import HeadwayError
from headway.core.settings import Settings, variables
from headway.server.api import admin, collections, flows, transitions, work_pools, work_queues, workers
from headway.server.api.routing import Api, Request, Route
from headway.server.asgi import asgi_app
from headway.server.installed_types import InstalledDrivers
from headway.server.services.flows import FlowService
from headway.server.services.transitions import Transitions
from headway.server.services.work_pools import WorkPoolService
from headway.server.services.work_queues import WorkQueueService
from headway.server.services.worker_types import WorkerTypeService
from headway.server.services.workers import WorkerService
from headway.store.database import Database, check_usable, sqlite_path
from headway.store.flows import FlowStore
from headway.store.migrate import RECORD, TELEMETRY, migrate
from headway.store.presence import Presence
from headway.store.transitions import TransitionStore
from headway.store.work_pools import WorkPoolStore
from headway.store.work_queues import WorkQueueStore
from headway.store.workers import WorkerStore


class Loop(Protocol):
    """What the server asks of each of its loops: see server.loops.base."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Server:
    """One process of the control plane, with or without a socket in front of it."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.database = Database(settings.database_url)
        self.telemetry = _telemetry(settings.database_url)
        self._presences: list[Presence] = []
        self._loops: list[Loop] = []
        self.transitions = Transitions(TransitionStore(self.database), self.clock, settings.server)
        self.api = Api(self._routes())

    def _routes(self) -> Iterable[Route]:
        yield from admin.routes(self._is_ready, self._shown_settings)
        yield from flows.routes(FlowService(FlowStore(self.database), self.clock))
        yield from self._pool_routes()
        yield from transitions.routes(self.transitions)

    def _pool_routes(self) -> Iterable[Route]:
        pools, queues = WorkPoolStore(self.database), WorkQueueStore(self.database)
        types = WorkerTypeService(InstalledDrivers(), pools)
        pool_service = WorkPoolService(pools, queues, types, self.clock)
        silence = self.settings.server.queue_silence_seconds
        yield from work_pools.routes(pool_service)
        yield from work_queues.routes(WorkQueueService(queues, pools, pool_service, self.clock, silence))
        yield from workers.routes(WorkerService(WorkerStore(self.database), pool_service, types, self.clock))
        yield from collections.routes(types)

    async def _is_ready(self) -> bool:
        try:
            await self.database.read(lambda connection: connection.execute(text("SELECT 1")).scalar_one())
        except HeadwayError:
            return False
        return True

    def _shown_settings(self) -> dict[str, Any]:
        return {
            variable.name: "********" if variable.secret else _plain(_value(self.settings, variable.name))
            for variable in variables()
        }

    async def start(self, *, loops: bool = True) -> None:
        """Check and migrate the database, then start the loops that are switched on."""
        await asyncio.to_thread(self._prepare)
        if loops:
            for loop in self._loops:
                await loop.start()

    def _prepare(self) -> None:
        for database, lineage in ((self.database, RECORD), (self.telemetry, TELEMETRY)):
            check_usable(database)
            presence = Presence(database.url)
            presence.enter()
            self._presences.append(presence)
            migrate(database, lineage, presence)

    async def stop(self) -> None:
        """Stop the loops, finish what is under way, close the databases; stopping twice is harmless."""
        for loop in reversed(self._loops):
            await loop.stop()
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

        return asgi_app(self.api, self.settings.server.api_key, lifespan if manage else None)


def create_app(settings: Settings, clock: Clock | None = None) -> Server:
    """A server that is wired but not started."""
    return Server(settings, clock)


def embedded(settings: Settings) -> Server:
    """The server that lives inside a client's process: same code, no socket, no loops but over its own runs."""
    return Server(settings)


def _telemetry(url: str) -> Database:
    path = sqlite_path(url)
    if path is None:
        return Database(url)
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
