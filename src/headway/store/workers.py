"""Workers: who serves a pool, of which type, and when they were last heard."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from headway.core.errors import NotFound, WorkerNameTakenError, WorkerTypeNotSupportedError
from headway.core.ids import new_id
from headway.core.nearest import suggestion
from headway.store.database import Database
from headway.store.filters import Filters, conditions
from headway.store.records import Records, Row, add, change, drop, one, rows
from headway.store.tables import work_pool, worker
from headway.store.work_pools import has_online_worker, learn_template
from headway.store.work_queues import find_pool, queues_of

SILENT_AFTER = 3
"""A worker is OFFLINE after this many heartbeat intervals without one (CONTRACT §2.4)."""


class WorkerStore(Records):
    """`store.protocols.Workers` in SQL."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, worker)

    async def register(self, pool_name: str, values: Row, template: Row | None) -> tuple[Row, Row]:
        return await self.database.write(_register, pool_name, values, template)

    async def heartbeat(self, pool_name: str, values: Row, worker_id: UUID | None) -> None:
        await self.database.write(_heartbeat, pool_name, values, worker_id)

    async def offline(self, pool_name: str, name: str, now: datetime) -> None:
        await self.database.write(_offline, pool_name, name, now)

    async def remove(self, pool_name: str, name: str) -> None:
        await self.database.write(_remove, pool_name, name)

    async def of_pool(self, pool_id: UUID, filters: Filters, limit: int, offset: int) -> list[Row]:
        statement = (
            select(worker)
            .where(worker.c.work_pool_id == pool_id, conditions(worker, {"workers": filters}))
            .order_by(worker.c.last_heartbeat_time.desc(), worker.c.name)
            .limit(limit)
            .offset(offset)
        )
        return await self.database.read(rows, statement)


def _register(connection: Connection, pool_name: str, values: Row, template: Row | None) -> tuple[Row, Row]:
    """The pool's row and the worker's; `template` is kept for its type and for a pool that has none."""
    pool = find_pool(connection, pool_name)
    if values["type"] != pool["type"]:
        raise WorkerTypeNotSupportedError(values["type"], pool["type"])
    queues = [row["name"] for row in queues_of(connection, pool["id"])]
    for name in values["work_queues"]:
        if name not in queues:
            raise NotFound(
                f"Work queue '{name}' not found in work pool '{pool_name}'.{suggestion(name, queues)} "
                f"Create it with: headway work-queue create {name} --pool {pool_name}"
            )
    _refuse_live_namesake(connection, pool, values["id"], values)
    drop(connection, worker, work_pool_id=pool["id"], name=values["name"])
    row = {**values, "work_pool_id": pool["id"], "status": "ONLINE"}
    add(connection, worker, row)
    if template is not None:
        learn_template(connection, template)
        if not pool["base_job_template"]:
            change(connection, work_pool, {"base_job_template": template["base_job_template"]}, id=pool["id"])
    _pool_ready(connection, pool)
    return pool, {**row, "served": values["work_queues"] or queues}


def _heartbeat(connection: Connection, pool_name: str, values: Row, worker_id: UUID | None) -> None:
    pool = find_pool(connection, pool_name)
    if values.get("type") is not None and values["type"] != pool["type"]:
        raise WorkerTypeNotSupportedError(values["type"], pool["type"])
    if worker_id is not None:  # stock workers do not say who they are
        _refuse_live_namesake(connection, pool, worker_id, values)
    beat = {**values, "status": "ONLINE"}
    if not change(connection, worker, beat, work_pool_id=pool["id"], name=values["name"]):
        new = {"id": worker_id or new_id(), "created": values["updated"], "work_pool_id": pool["id"]}
        add(connection, worker, {**beat, **new})
    _pool_ready(connection, pool)


def _refuse_live_namesake(connection: Connection, pool: Row, id: UUID, values: Row) -> None:
    known = one(connection, worker, work_pool_id=pool["id"], name=values["name"])
    if known is not None and known["id"] != id and is_live(known, values["last_heartbeat_time"]):
        raise WorkerNameTakenError(values["name"], pool["name"])


def is_live(row: Mapping[str, Any], now: datetime) -> bool:
    """Whether a worker's last heartbeat still counts."""
    silence = timedelta(seconds=row["heartbeat_interval_seconds"] * SILENT_AFTER)
    return bool(row["status"] == "ONLINE" and now - row["last_heartbeat_time"] <= silence)


def _pool_ready(connection: Connection, pool: Row) -> None:
    if pool["status"] == "NOT_READY":
        change(connection, work_pool, {"status": "READY"}, id=pool["id"])


def _pool_left(connection: Connection, pool: Row) -> None:
    if pool["status"] == "READY" and not has_online_worker(connection, pool["id"]):
        change(connection, work_pool, {"status": "NOT_READY"}, id=pool["id"])


def _offline(connection: Connection, pool_name: str, name: str, now: datetime) -> None:
    pool = find_pool(connection, pool_name)
    gone = {"status": "OFFLINE", "flow_run_ids": [], "updated": now}
    if not change(connection, worker, gone, work_pool_id=pool["id"], name=name):
        raise _unknown(connection, pool, name)
    _pool_left(connection, pool)


def _remove(connection: Connection, pool_name: str, name: str) -> None:
    pool = find_pool(connection, pool_name)
    if not drop(connection, worker, work_pool_id=pool["id"], name=name):
        raise _unknown(connection, pool, name)
    _pool_left(connection, pool)


def _unknown(connection: Connection, pool: Row, name: str) -> NotFound:
    known = list(connection.execute(select(worker.c.name).where(worker.c.work_pool_id == pool["id"])).scalars())
    return NotFound(f"Worker '{name}' not found in work pool '{pool['name']}'.{suggestion(name, known)}")
