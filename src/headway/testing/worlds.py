"""A small populated database for tests of stores and services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from headway.core.clock import Clock
from headway.core.ids import new_id
from headway.core.rules.commands import Decision, Propose
from headway.core.rules.facts import Caller, Policy, Run
from headway.core.settings import ServerSettings
from headway.core.states import Scheduled, State
from headway.server.services.transitions import Transitions
from headway.server.services.wakes import Wakes
from headway.store.database import Database
from headway.store.tables import deployment, flow, metadata, task_run, work_pool, work_queue, worker
from headway.store.transitions import TransitionStore
from headway.testing.clock import FrozenClock
from headway.testing.databases import url_of

__all__ = ["World", "opened_world"]


@dataclass
class World:
    """A database with one flow, one pool with a default queue, and one deployment, until more is added."""

    database: Database
    clock: FrozenClock
    settings: ServerSettings
    transitions: Transitions
    wakes: Wakes
    flow_id: UUID = field(default_factory=new_id)
    pool_id: UUID = field(default_factory=new_id)
    queue_id: UUID = field(default_factory=new_id)
    deployment_id: UUID = field(default_factory=new_id)

    async def _add(self, table: Any, **values: Any) -> UUID:
        now = self.clock.now()
        row = {"id": new_id(), "created": now, "updated": now, **values}
        await self.database.write(lambda connection: connection.execute(insert(table), row) and None)
        return row["id"]  # type: ignore[no-any-return]

    async def populate(self) -> None:
        await self._add(flow, id=self.flow_id, name="flow")
        pool = {"name": "pool", "type": "process", "default_queue_id": self.queue_id}
        await self._add(work_pool, id=self.pool_id, **pool)
        await self.add_queue("default", id=self.queue_id)
        await self.add_deployment("deployment", id=self.deployment_id)

    async def add_queue(self, name: str, **more: Any) -> UUID:
        return await self._add(work_queue, **{"work_pool_id": self.pool_id, "name": name, **more})

    async def add_deployment(self, name: str, **more: Any) -> UUID:
        where = {"work_pool_id": self.pool_id, "work_queue_id": self.queue_id, "work_queue_name": "default"}
        return await self._add(deployment, **{"name": name, "flow_id": self.flow_id, **where, **more})

    async def add_worker(self, name: str, **more: Any) -> UUID:
        seen = {"type": "process", "last_heartbeat_time": self.clock.now()}
        return await self._add(worker, **{"work_pool_id": self.pool_id, "name": name, **seen, **more})

    async def add_task(self, flow_run_id: UUID, name: str = "task") -> UUID:
        return await self._add(task_run, name=name, task_key=name, dynamic_key="0", flow_run_id=flow_run_id)

    async def add_run(self, state: State | None = None, caller: Caller | None = None, **more: Any) -> UUID:
        """A run of the deployment, SCHEDULED now unless said otherwise; `row` are further columns."""
        places = {
            "deployment_id": self.deployment_id,
            "work_pool_id": self.pool_id,
            "work_queue_id": self.queue_id,
        }
        row = {"name": "run", **more.pop("row", {})}
        run = Run(new_id(), flow_id=self.flow_id, **{**places, "policy": Policy(), **more})
        first = state or Scheduled(self.clock.now())
        await self.transitions.create_run(run, first, row, caller)
        return run.id

    async def change(self, table: Any, id: UUID, **values: Any) -> None:
        """Set columns of one row."""
        statement = update(table).where(table.c.id == id).values(**values)
        await self.database.write(lambda connection: connection.execute(statement) and None)

    async def propose(self, run_id: UUID, state: State, **more: Any) -> Decision:
        return await self.transitions.submit(Propose(run_id, state, **more))

    async def rows(self, table: Any, **where: Any) -> list[dict[str, Any]]:
        """The rows of a table whose columns equal `where`."""

        def find(connection: Connection) -> list[dict[str, Any]]:
            statement = select(table).filter_by(**where)
            return [dict(row) for row in connection.execute(statement).mappings()]

        return await self.database.read(find)

    async def row(self, table: Any, **where: Any) -> dict[str, Any]:
        found = await self.rows(table, **where)
        assert len(found) == 1, f"{len(found)} rows of {table.name} where {where}"
        return found[0]


@asynccontextmanager
async def opened_world(
    folder: Path, clock: FrozenClock, settings: ServerSettings | None = None
) -> AsyncIterator[World]:
    """The folder's database (`databases.url_of`), populated; closed at the end."""
    database = Database(url_of(folder), synchronous="OFF")
    if database.is_sqlite:
        metadata.create_all(database.engine)
    chosen = settings or ServerSettings()
    ticking: Clock = clock
    wakes = Wakes()
    world = World(database, clock, chosen, Transitions(TransitionStore(database), ticking, chosen, wakes), wakes)
    await world.populate()
    try:
        yield world
    finally:
        await database.close()
