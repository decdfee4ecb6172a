"""Workers: registration with the type check, heartbeats, leaving."""

from __future__ import annotations

import math
from typing import Any

from headway.core.clock import Clock
from headway.core.errors import Invalid, TemplateError
from headway.core.ids import new_id
from headway.core.templates import check_template
from headway.server.services.shaping import shaped
from headway.server.services.work_pools import WorkPoolService
from headway.server.services.worker_types import WorkerTypeService
from headway.store.protocols import Filters, Row, Workers
from headway.wire.workers import Worker, WorkerHeartbeat, WorkerRegister, WorkerRegistered


class WorkerService:
    """Who serves which pool."""

    def __init__(self, store: Workers, pools: WorkPoolService, types: WorkerTypeService, clock: Clock) -> None:
        self._store = store
        self._pools = pools
        self._types = types
        self._clock = clock

    async def register(self, pool_name: str, body: WorkerRegister) -> WorkerRegistered:
        """Admit a worker before it does anything else (DESIGN §3, "Types must match")."""
        now = self._clock.now()
        values = {
            "id": body.worker_id or new_id(),
            "created": now,
            "updated": now,
            "name": body.name,
            "type": body.type,
            "last_heartbeat_time": now,
            "heartbeat_interval_seconds": _whole(body.heartbeat_interval_seconds),
            "work_queues": list(dict.fromkeys(body.work_queues)),
            "concurrency_limit": body.limit,
            "flow_run_ids": [str(id) for id in body.flow_run_ids],
            "client": body.client,
        }
        pool, worker = await self._store.register(pool_name, values, self._brought(body))
        return WorkerRegistered(
            worker_id=worker["id"],
            name=worker["name"],
            work_pool_id=pool["id"],
            work_pool_name=pool["name"],
            type=worker["type"],
            work_queues=worker["served"],
            server_time=now,
        )

    def _brought(self, body: WorkerRegister) -> Row | None:
        """The template to keep for a type that has no driver beside the server."""
        if not body.base_job_template or self._types.is_installed(body.type):
            return None
        try:
            check_template(body.base_job_template)
        except TemplateError as error:
            raise Invalid(f"Base job template: {error.message}.", ("body", "base_job_template", *error.loc)) from error
        return {"type": body.type, "base_job_template": body.base_job_template, "created": self._clock.now()}

    async def heartbeat(self, pool_name: str, body: WorkerHeartbeat) -> None:
        now = self._clock.now()
        said: dict[str, Any] = {
            "type": body.type,
            "work_queues": body.work_queues,
            "concurrency_limit": body.limit,
            "flow_run_ids": None if body.flow_run_ids is None else [str(id) for id in body.flow_run_ids],
            "heartbeat_interval_seconds": _whole(body.heartbeat_interval_seconds),
        }
        known = {key: value for key, value in said.items() if value is not None}
        await self._store.heartbeat(
            pool_name, {**known, "name": body.name, "last_heartbeat_time": now, "updated": now}, body.worker_id
        )

    async def offline(self, pool_name: str, name: str) -> None:
        await self._store.offline(pool_name, name, self._clock.now())

    async def delete(self, pool_name: str, name: str) -> None:
        await self._store.remove(pool_name, name)

    async def page(self, pool_name: str, filters: Filters, limit: int, offset: int) -> list[Worker]:
        """The pool's workers that pass, last heard first."""
        pool = await self._pools.row(pool_name)
        rows = await self._store.of_pool(pool["id"], filters, limit, offset)
        return [_wire(row) for row in rows]


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else math.ceil(seconds)


def _wire(row: Row) -> Worker:
    return shaped(Worker, row, limit=row["concurrency_limit"])
