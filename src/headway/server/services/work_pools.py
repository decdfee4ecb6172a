"""Work pools: made with a template and a default queue, changed in everything but their type."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from headway.core import templates
from headway.core.clock import Clock
from headway.core.errors import Conflict, Forbidden, Invalid, NotFound, TemplateError
from headway.core.ids import new_id
from headway.core.nearest import nearest, suggestion
from headway.core.states import StateType
from headway.server.services.filtering import page_count
from headway.server.services.shaping import shaped
from headway.server.services.wakes import Wakes
from headway.server.services.worker_types import AGENT_TYPE, WorkerTypeService
from headway.store.protocols import Filters, Row, WorkPools, WorkQueues
from headway.wire.base import given
from headway.wire.work_pools import (
    WorkPool,
    WorkPoolConcurrency,
    WorkPoolCreate,
    WorkPoolUpdate,
    WorkQueueSlots,
)
from headway.wire.work_queues import FlowRunSlot

DEFAULT_QUEUE = "default"
RESERVED = "prefect"
_CANCEL_CHECKS = 75
_CANCEL_PAUSE = 0.2


class Canceller(Protocol):
    """How runs are cancelled before what they belong to is deleted."""

    async def cancel(self, flow_run_id: UUID, message: str, *, force: bool) -> None:
        """Propose CANCELLING; with `force`, CANCELLED at once."""
        ...


class WorkPoolService:
    """Create, read, change, delete, filter, and who occupies what."""

    def __init__(
        self,
        store: WorkPools,
        queues: WorkQueues,
        types: WorkerTypeService,
        clock: Clock,
        canceller: Canceller | None = None,
        wakes: Wakes | None = None,
    ) -> None:
        self._wakes = wakes or Wakes()
        self._store = store
        self._queues = queues
        self._types = types
        self._clock = clock
        self._canceller = canceller

    async def create(self, body: WorkPoolCreate) -> WorkPool:
        """The new pool; `warnings` says so when nobody here knows its type."""
        if body.name.lower().startswith(RESERVED):
            raise Forbidden(
                f"Work pool names starting with 'prefect' are reserved; '{body.name}' is not allowed. "
                "Choose another name."
            )
        default = await self._types.template(body.type)
        warnings = await self._judge_type(body, default)
        template = complete(body.base_job_template, default)
        now, pool_id, queue_id = self._clock.now(), new_id(), new_id()
        pool = {
            "id": pool_id,
            "created": now,
            "updated": now,
            "name": body.name,
            "description": body.description,
            "type": body.type,
            "base_job_template": template,
            "is_paused": body.is_paused,
            "concurrency_limit": body.concurrency_limit,
            "status": "PAUSED" if body.is_paused else "NOT_READY",
            "default_queue_id": queue_id,
            "storage_configuration": msgspec.to_builtins(body.storage_configuration),
        }
        await self._store.create(pool, default_queue(queue_id, pool_id, now))
        made = _wire(pool, 0)
        return msgspec.structs.replace(made, warnings=warnings) if warnings else made

    async def _judge_type(self, body: WorkPoolCreate, default: Mapping[str, Any] | None) -> list[str]:
        if default is not None or body.type == AGENT_TYPE:
            return []
        known = await self._types.known()
        message = f"Work pool type '{body.type}' is not known here; known types: {', '.join(known) or 'none'}."
        if "job_configuration" in body.base_job_template:
            return [f"{message} Runs of pool '{body.name}' wait until a worker of that type is started."]
        raise Invalid(
            f"{message}{_meant(body.type, known)} Choose one of them, or give a base job template "
            "with 'job_configuration' and 'variables'.",
            loc=("body", "type"),
        )

    async def row(self, name: str) -> Row:
        """The pool's row; NotFound names the nearest pools."""
        row = await self._store.find(name=name)
        if row is None:
            hint = suggestion(name, await self._store.names(), "There are no work pools yet; create one first.")
            raise NotFound(f"Work pool '{name}' not found.{hint}")
        return row

    async def read(self, name: str) -> WorkPool:
        return (await self._with_slots([await self.row(name)]))[0]

    async def page(self, filters: Filters, limit: int, offset: int) -> list[WorkPool]:
        rows = await self._store.page(filters, sort="NAME_ASC", limit=limit, offset=offset)
        return await self._with_slots(rows)

    async def count(self, filters: Filters) -> int:
        return await self._store.count(filters)

    async def _with_slots(self, rows: Sequence[Row]) -> list[WorkPool]:
        limited = [row["id"] for row in rows if row["concurrency_limit"] is not None]
        used = await self._store.active_slots(limited) if limited else {}
        return [_wire(row, used.get(row["id"], 0)) for row in rows]

    async def update(self, name: str, body: WorkPoolUpdate) -> None:
        pool = await self.row(name)
        changes = given(body)
        if (type := changes.pop("type", None)) is not None and type != pool["type"]:
            raise Conflict(
                f"The type of work pool '{name}' is '{pool['type']}' and never changes, because its job template and "
                f"the infrastructure of its runs belong to that type. Create another pool of type '{type}' and move "
                "the deployments there.",
                code="WorkPoolTypeImmutable",
            )
        if "base_job_template" in changes:
            default = await self._types.template(pool["type"])
            changes["base_job_template"] = complete(changes["base_job_template"] or {}, default)
        if "storage_configuration" in changes:
            changes["storage_configuration"] = msgspec.to_builtins(changes["storage_configuration"] or {})
        if "is_paused" in changes:
            changes["is_paused"] = bool(changes["is_paused"])
            if changes["is_paused"] != pool["is_paused"] or (changes["is_paused"] and pool["status"] != "PAUSED"):
                changes["status"] = await self._status(pool["id"], changes["is_paused"])
        await self._store.update(pool["id"], {**changes, "updated": self._clock.now()})
        self.changed(pool)

    def changed(self, pool: Row) -> None:
        """Whoever waits for work of this pool looks again: it may be paused no more, or have more room."""
        self._wakes.notify([pool["id"]])

    async def _status(self, id: UUID, paused: bool) -> str:
        if paused:
            return "PAUSED"
        return "READY" if await self._store.has_online_worker(id) else "NOT_READY"

    async def delete(self, name: str, *, force: bool = False) -> None:
        """Refused while runs wait or run, unless `force`: then they are cancelled first."""
        pool = await self.row(name)
        if force:
            await self._cancel_runs(pool)
        if not await self._store.remove(pool["id"]):
            return
        types = [type for _, type in await self._store.live_runs(pool["id"])]
        waiting = types.count(StateType.SCHEDULED)
        raise Conflict(
            f"Work pool '{name}' has {waiting} waiting and {len(types) - waiting} running runs. Wait for them, move "
            "their deployments to another pool, or delete with force (--force), which cancels them first.",
            code="WorkPoolInUse",
        )

    async def _cancel_runs(self, pool: Row) -> None:
        if self._canceller is None:
            return
        message = f"Work pool '{pool['name']}' was deleted."
        asked: set[UUID] = set()
        for _ in range(_CANCEL_CHECKS):  # workers get the time to stop what runs
            living = [id for id, _ in await self._store.live_runs(pool["id"])]
            if not living:
                return
            new = [id for id in living if id not in asked]  # schedules go on meanwhile
            for id in new:
                await self._canceller.cancel(id, message, force=False)
            asked.update(new)
            if not new:
                await asyncio.sleep(_CANCEL_PAUSE)
        for id, _ in await self._store.live_runs(pool["id"]):
            await self._canceller.cancel(id, message, force=True)

    async def concurrency(self, name: str, page: int, limit: int, runs_per_queue: int) -> WorkPoolConcurrency:
        """Use of the pool's limit, and of one page of its queues with the runs that occupy them."""
        pool = await self.row(name)
        queues = await self._queues.of_pool(pool["id"])
        shown = queues[(page - 1) * limit : page * limit]
        ids = [queue["id"] for queue in shown]
        used = await self._queues.active_slots(ids)
        occupants = await self._store.occupants(queue_ids=ids, limit=runs_per_queue)
        now = self._clock.now()
        return WorkPoolConcurrency(
            active_slots=(await self._store.active_slots([pool["id"]])).get(pool["id"], 0),
            concurrency_limit=pool["concurrency_limit"],
            queues=[
                WorkQueueSlots(
                    queue_id=queue["id"],
                    queue_name=queue["name"],
                    active_slots=used.get(queue["id"], 0),
                    concurrency_limit=queue["concurrency_limit"],
                    flow_runs=[slot_of(row, now) for row in occupants.get(queue["id"], [])],
                    flow_run_count=used.get(queue["id"], 0),
                )
                for queue in shown
            ],
            count=len(queues),
            limit=limit,
            pages=page_count(len(queues), limit),
            page=page,
        )


def _meant(type: str, known: Sequence[str]) -> str:
    near = nearest(type, known)
    return f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""


def complete(template: Mapping[str, Any], default: Mapping[str, Any] | None) -> dict[str, Any]:
    """The template meant by any of the accepted forms; Invalid says what is wrong with it."""
    try:
        return templates.complete_template(template, default)
    except TemplateError as error:
        raise Invalid(f"Base job template: {error.message}.", loc=("body", "base_job_template", *error.loc)) from error


def default_queue(id: UUID, pool_id: UUID, now: datetime) -> Row:
    """The row of the queue that every pool has."""
    return {
        "id": id,
        "created": now,
        "updated": now,
        "work_pool_id": pool_id,
        "name": DEFAULT_QUEUE,
        "description": "The work pool's default queue.",
        "is_paused": False,
        "concurrency_limit": None,
        "priority": 1,
        "filter": None,
        "last_polled": None,
        "status": "NOT_READY",
    }


def slot_of(row: Row, now: datetime) -> FlowRunSlot:
    since = row["state_timestamp"]
    return FlowRunSlot(**row, time_in_current_state=None if since is None else (now - since).total_seconds())


def _wire(row: Row, used: int) -> WorkPool:
    status = None if row["type"] == AGENT_TYPE else row["status"]
    return shaped(WorkPool, row, status=status, active_slots=None if row["concurrency_limit"] is None else used)
