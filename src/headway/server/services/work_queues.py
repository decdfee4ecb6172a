"""Work queues: the lines of a pool, and in which order they are served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from headway.core.clock import Clock
from headway.core.errors import Conflict, NotFound
from headway.core.ids import new_id
from headway.core.nearest import suggestion
from headway.core.queue_order import served_words
from headway.server.services.filtering import page_count
from headway.server.services.shaping import shaped
from headway.server.services.work_pools import DEFAULT_QUEUE, WorkPoolService, default_queue, slot_of
from headway.server.services.worker_types import AGENT_TYPE
from headway.store.protocols import Filters, Moved, Row, WorkPools, WorkQueues
from headway.wire.base import given
from headway.wire.work_queues import (
    WorkQueue,
    WorkQueueConcurrency,
    WorkQueueCreate,
    WorkQueueHealth,
    WorkQueueHealthPolicy,
    WorkQueueUpdate,
)

AGENT_POOL = "default-agent-pool"
"""The pool of queues that are made without naming one (the reference's /work_queues/)."""


class WorkQueueService:
    """Create, read, change, delete and filter, by pool and name or by id."""

    def __init__(
        self, store: WorkQueues, pools: WorkPools, pool_service: WorkPoolService, clock: Clock, silence_seconds: float
    ) -> None:
        self._store = store
        self._pools = pools
        self._pool_service = pool_service
        self._clock = clock
        self._silence = timedelta(seconds=silence_seconds)

    async def create(self, pool_name: str, body: WorkQueueCreate) -> WorkQueue:
        return await self._create(await self._pool_service.row(pool_name), body)

    async def create_in_agent_pool(self, body: WorkQueueCreate) -> WorkQueue:
        """The pool is made on first use, as the reference does."""
        pool = await self._pools.find(name=AGENT_POOL)
        if pool is None:
            pool = await self._make_agent_pool()
            if body.name == DEFAULT_QUEUE:
                return await self.read(AGENT_POOL, DEFAULT_QUEUE)
        return await self._create(pool, body)

    async def _make_agent_pool(self) -> Row:
        now, pool_id, queue_id = self._clock.now(), new_id(), new_id()
        pool = {
            "id": pool_id, "created": now, "updated": now, "name": AGENT_POOL, "description": None, "type": AGENT_TYPE,
            "base_job_template": {}, "is_paused": False, "concurrency_limit": None, "status": "NOT_READY",
            "default_queue_id": queue_id, "storage_configuration": {},
        }  # fmt: skip
        await self._pools.create(pool, default_queue(queue_id, pool_id, now))
        return pool

    async def _create(self, pool: Row, body: WorkQueueCreate) -> WorkQueue:
        now = self._clock.now()
        values = {
            "id": new_id(),
            "created": now,
            "updated": now,
            "work_pool_id": pool["id"],
            "name": body.name,
            "description": body.description or "",
            "is_paused": body.is_paused,
            "concurrency_limit": body.concurrency_limit,
            "priority": body.priority,
            "filter": _plain(body.filter),
            "last_polled": None,
            "status": "PAUSED" if body.is_paused else "NOT_READY",
        }
        try:
            row = await self._store.create(values)
        except Conflict as error:
            raise Conflict(
                f"A work queue named '{body.name}' already exists in work pool '{pool['name']}'. "
                f"Change it with: headway work-queue update {body.name} --pool {pool['name']}",
                code=error.code,
            ) from error
        return await self._told(row, pool)

    async def _told(self, row: Row, pool: Row) -> WorkQueue:
        """The queue with its place among the others, in words."""
        priorities = {other["name"]: other["priority"] for other in await self._store.of_pool(pool["id"])}
        (queue,) = await self._wire([row], {pool["id"]: pool["name"]})
        return msgspec.structs.replace(queue, served_order=served_words(priorities, row["name"]))

    async def row(self, pool_name: str, name: str) -> tuple[Row, Row]:
        """Pool and queue; NotFound names the nearest queues."""
        pool = await self._pool_service.row(pool_name)
        queues = {row["name"]: row for row in await self._store.of_pool(pool["id"])}
        if name not in queues:
            raise NotFound(f"Work queue '{pool_name}/{name}' not found.{suggestion(name, queues)}")
        return pool, queues[name]

    async def read(self, pool_name: str, name: str) -> WorkQueue:
        pool, row = await self.row(pool_name, name)
        return await self._told(row, pool)

    async def read_by_id(self, id: UUID) -> WorkQueue:
        row = await self._by_id(id)
        return await self._told(row, await self._pool_of(row))

    async def read_by_name(self, name: str) -> WorkQueue:
        """A queue of the agent pool if there is one, else the first of that name anywhere."""
        pool = await self._pools.find(name=AGENT_POOL)
        where: dict[str, Any] = {"name": name} if pool is None else {"name": name, "work_pool_id": pool["id"]}
        row = await self._store.find(**where)
        if row is None:
            raise NotFound(f"Work queue '{name}' not found.")
        return await self._told(row, await self._pool_of(row))

    async def _by_id(self, id: UUID) -> Row:
        row = await self._store.get(id)
        if row is None:
            raise NotFound(f"Work queue {id} not found.")
        return row

    async def _pool_of(self, row: Row) -> Row:
        pool = await self._pools.get(row["work_pool_id"])
        assert pool is not None, "a queue cannot outlive its pool"
        return pool

    async def update(self, pool_name: str, name: str, body: WorkQueueUpdate) -> WorkQueue:
        pool, row = await self.row(pool_name, name)
        return await self._update(row, pool, body)

    async def update_by_id(self, id: UUID, body: WorkQueueUpdate) -> WorkQueue:
        row = await self._by_id(id)
        return await self._update(row, await self._pool_of(row), body)

    async def _update(self, row: Row, pool: Row, body: WorkQueueUpdate) -> WorkQueue:
        changes = _changes(given(body))
        new_name = changes.get("name", row["name"])
        if new_name != row["name"] and pool["default_queue_id"] == row["id"]:
            raise Conflict(
                f"Queue '{row['name']}' is the default queue of work pool '{pool['name']}' and keeps its name. "
                f"Create queue '{new_name}' beside it.",
                code="DefaultQueue",
            )
        if "is_paused" in changes:
            changes["status"] = self._status(row, changes)
        after = await self._store.change(row["id"], {**changes, "updated": self._clock.now()})
        if after is None:
            raise NotFound(f"Work queue '{pool['name']}/{row['name']}' not found.")
        self._pool_service.changed(pool)
        return await self._told(after, pool)

    def _status(self, row: Row, changes: Mapping[str, Any]) -> str:
        if changes["is_paused"]:
            return "PAUSED"
        if row["status"] != "PAUSED":
            return str(row["status"])
        polled: datetime | None = changes.get("last_polled", row["last_polled"])
        recent = polled is not None and self._clock.now() - polled <= self._silence
        return "READY" if recent else "NOT_READY"

    async def delete(self, pool_name: str, name: str) -> Moved:
        _, row = await self.row(pool_name, name)
        return await self._remove(row)

    async def delete_by_id(self, id: UUID) -> Moved:
        return await self._remove(await self._by_id(id))

    async def _remove(self, row: Row) -> Moved:
        moved = await self._store.remove(row["id"])
        if moved is None:
            raise NotFound(f"Work queue '{row['name']}' not found.")
        self._pool_service.changed(await self._pool_of(row))
        return moved

    async def page_of_pool(self, pool_name: str, filters: Filters, limit: int, offset: int) -> list[WorkQueue]:
        """In the order they are served."""
        pool = await self._pool_service.row(pool_name)
        rows = await self._store.matching(filters, limit, offset, pool["id"])
        return await self._wire(rows, {pool["id"]: pool["name"]})

    async def page(self, filters: Filters, limit: int, offset: int) -> list[WorkQueue]:
        """Of all pools, by name."""
        rows = await self._store.matching(filters, limit, offset)
        names = {}
        for pool_id in {row["work_pool_id"] for row in rows}:
            pool = await self._pools.get(pool_id)
            names[pool_id] = None if pool is None else pool["name"]
        return await self._wire(rows, names)

    async def _wire(self, rows: Sequence[Row], pool_names: Mapping[UUID, str | None]) -> list[WorkQueue]:
        limited = [row["id"] for row in rows if row["concurrency_limit"] is not None]
        used = await self._store.active_slots(limited) if limited else {}
        return [
            shaped(
                WorkQueue,
                row,
                work_pool_name=pool_names.get(row["work_pool_id"]),
                active_slots=None if row["concurrency_limit"] is None else used.get(row["id"], 0),
            )
            for row in rows
        ]

    async def health(self, id: UUID) -> WorkQueueHealth:
        """Healthy: no late runs, and polled within the last minute."""
        row = await self._by_id(id)
        policy = WorkQueueHealthPolicy(maximum_seconds_since_last_polled=int(self._silence.total_seconds()))
        late, polled = await self._store.late_runs(id), row["last_polled"]
        recent = polled is not None and self._clock.now() - polled <= self._silence
        return WorkQueueHealth(
            healthy=late == 0 and recent, health_check_policy=policy, late_runs_count=late, last_polled=polled
        )

    async def concurrency(self, id: UUID, page: int, limit: int) -> WorkQueueConcurrency:
        row = await self._by_id(id)
        used = (await self._store.active_slots([id])).get(id, 0)
        shown = await self._pools.occupants(queue_ids=[id], limit=limit, offset=(page - 1) * limit)
        now = self._clock.now()
        return WorkQueueConcurrency(
            active_slots=used,
            concurrency_limit=row["concurrency_limit"],
            flow_runs=[slot_of(run, now) for run in shown.get(id, [])],
            count=used,
            limit=limit,
            pages=page_count(used, limit),
            page=page,
        )


def _changes(named: dict[str, Any]) -> dict[str, Any]:
    """What a PATCH changes; null means "leave it" where a column cannot be empty."""
    filled = {key: value for key, value in named.items() if value is not None or key in _CAN_BE_EMPTY}
    if "filter" in filled:
        filled["filter"] = _plain(filled["filter"])
    return filled


_CAN_BE_EMPTY = frozenset({"concurrency_limit", "filter", "last_polled"})


def _plain(value: msgspec.Struct | None) -> Any:
    return None if value is None else msgspec.to_builtins(value)
