"""Work pools, each with its `default` queue, and the default templates that workers brought."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select, update

from headway.core.errors import Conflict
from headway.core.states import OCCUPYING
from headway.store.database import Database
from headway.store.records import Records, Row, add, drop, one, rows
from headway.store.tables import default_template, deployment, flow_run, live_run, slot, work_pool, work_queue, worker

_OCCUPYING = sorted(OCCUPYING)


class WorkPoolStore(Records):
    """`store.protocols.WorkPools` in SQL."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, work_pool)

    async def create(self, pool: Row, queue: Row) -> None:
        await self.database.write(_create, pool, queue)

    async def names(self) -> list[str]:
        return await self.database.read(pool_names)

    async def types(self) -> list[str]:
        return await self.database.read(lambda c: list(c.execute(select(work_pool.c.type).distinct()).scalars()))

    async def active_slots(self, ids: Sequence[UUID]) -> dict[UUID, int]:
        return await self.database.read(occupancy, live_run.c.work_pool_id, ids)

    async def has_online_worker(self, id: UUID) -> bool:
        return await self.database.read(has_online_worker, id)

    async def live_runs(self, id: UUID) -> list[tuple[UUID, str]]:
        return await self.database.read(_live_runs, id)

    async def remove(self, id: UUID) -> int:
        return await self.database.write(_remove, id)

    async def occupants(self, *, queue_ids: Sequence[UUID], limit: int, offset: int = 0) -> dict[UUID, list[Row]]:
        return await self.database.read(_occupants, queue_ids, limit, offset)

    async def learnt_template(self, type: str) -> dict[str, Any] | None:
        row = await self.database.read(lambda connection: one(connection, default_template, type=type))
        return None if row is None else row["base_job_template"]

    async def learnt_templates(self) -> dict[str, dict[str, Any]]:
        found = await self.database.read(rows, select(default_template))
        return {row["type"]: row["base_job_template"] for row in found}


def pool_names(connection: Connection) -> list[str]:
    """All pools' names, for suggestions."""
    return list(connection.execute(select(work_pool.c.name).order_by(work_pool.c.name)).scalars())


def occupancy(connection: Connection, column: Any, ids: Iterable[UUID]) -> dict[UUID, int]:
    """How many runs occupy each pool (or queue, by `column`); those without any are left out."""
    counted = (
        select(column, func.count())
        .where(column.in_(list(ids)), live_run.c.state_type.in_(_OCCUPYING))
        .group_by(column)
    )
    return {id: int(count) for id, count in connection.execute(counted)}


def has_online_worker(connection: Connection, pool_id: UUID) -> bool:
    """Whether a worker of the pool is ONLINE."""
    found = select(worker.c.id).where(worker.c.work_pool_id == pool_id, worker.c.status == "ONLINE").limit(1)
    return connection.execute(found).first() is not None


def _create(connection: Connection, pool: Row, queue: Row) -> None:
    if one(connection, work_pool, name=pool["name"]) is not None:
        raise Conflict(
            f"A work pool named '{pool['name']}' already exists. Choose another name, or change that one.",
            code="WorkPoolExists",
        )
    add(connection, work_pool, pool)
    add(connection, work_queue, queue)


def _live_runs(connection: Connection, pool_id: UUID) -> list[tuple[UUID, str]]:
    found = select(live_run.c.flow_run_id, live_run.c.state_type).where(live_run.c.work_pool_id == pool_id)
    return [(id, type) for id, type in connection.execute(found)]


def _remove(connection: Connection, pool_id: UUID) -> int:
    """Delete the pool unless runs of it live; returns how many do. Deployments stay, without a pool."""
    if living := len(_live_runs(connection, pool_id)):
        return living
    queues = select(work_queue.c.id).where(work_queue.c.work_pool_id == pool_id)
    connection.execute(slot.delete().where(slot.c.limit_id.in_(queues) | (slot.c.limit_id == pool_id)))
    freed = {"work_pool_id": None, "work_queue_id": None, "work_queue_name": None}
    connection.execute(update(deployment).where(deployment.c.work_pool_id == pool_id).values(freed))
    drop(connection, work_pool, id=pool_id)
    return 0


def _occupants(connection: Connection, queue_ids: Sequence[UUID], limit: int, offset: int) -> dict[UUID, list[Row]]:
    numbered = (
        select(
            live_run.c.work_queue_id,
            *(flow_run.c[name] for name in ("id", "name", "state_type", "state_name", "start_time", "state_timestamp")),
            func.row_number()
            .over(partition_by=live_run.c.work_queue_id, order_by=(live_run.c.state_since, flow_run.c.id))
            .label("number"),
        )
        .join(flow_run, flow_run.c.id == live_run.c.flow_run_id)
        .where(live_run.c.work_queue_id.in_(queue_ids), live_run.c.state_type.in_(_OCCUPYING))
        .subquery()
    )
    wanted = select(numbered).where(numbered.c.number > offset, numbered.c.number <= offset + limit)
    found: dict[UUID, list[Row]] = {}
    for row in rows(connection, wanted.order_by(numbered.c.number)):
        row.pop("number")
        found.setdefault(row.pop("work_queue_id"), []).append(row)
    return found


def learn_template(connection: Connection, values: Mapping[str, Any]) -> None:
    """Keep the default template of a type nobody here has a driver for; the first one stays."""
    if one(connection, default_template, type=values["type"]) is None:
        add(connection, default_template, dict(values))
