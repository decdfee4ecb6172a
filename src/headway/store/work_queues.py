"""Work queues: the lines of a pool, no two with the same priority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select, update

from headway.core.errors import Conflict, NotFound
from headway.core.nearest import suggestion
from headway.core.queue_order import first_free, place
from headway.store.database import Database
from headway.store.filters import Filters, conditions
from headway.store.hot import Hot
from headway.store.protocols import Moved
from headway.store.records import Records, Row, add, change, drop, one, rows
from headway.store.tables import deployment, flow_run, live_run, slot, work_pool, work_queue
from headway.store.work_pools import occupancy, pool_names

SERVED = (work_queue.c.priority, work_queue.c.name)
"""The order in which the queues of a pool are served."""


class WorkQueueStore(Records):
    """`store.protocols.WorkQueues` in SQL."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, work_queue)

    async def of_pool(self, pool_id: UUID) -> list[Row]:
        return await self.database.read(queues_of, pool_id)

    async def place(self, pool: str, queue: str | None) -> Row | None:
        return await self.database.read(_place, pool, queue)

    async def matching(self, filters: Filters, limit: int, offset: int, pool_id: UUID | None = None) -> list[Row]:
        passing = select(work_queue).where(conditions(work_queue, filters))
        if pool_id is None:
            ordered = passing.order_by(work_queue.c.name, work_queue.c.id)
        else:
            ordered = passing.where(work_queue.c.work_pool_id == pool_id).order_by(*SERVED)
        return await self.database.read(rows, ordered.limit(limit).offset(offset))

    async def create(self, values: Row) -> Row:
        return await self.database.write(_create, values)

    async def change(self, id: UUID, values: Mapping[str, Any]) -> Row | None:
        return await self.database.write(_change, id, values)

    async def remove(self, id: UUID) -> Moved | None:
        return await self.database.write(_remove, id)

    async def active_slots(self, ids: Sequence[UUID]) -> dict[UUID, int]:
        return await self.database.read(occupancy, live_run.c.work_queue_id, ids)

    async def late_runs(self, id: UUID) -> int:
        late = (
            select(func.count())
            .select_from(live_run)
            .where(live_run.c.work_queue_id == id, live_run.c.state_name == "Late")
        )
        return await self.database.read(lambda connection: int(connection.execute(late).scalar_one()))


def _place(connection: Connection, pool: str, queue: str | None) -> Row | None:
    hot = Hot(connection)
    found = hot.rows("place", pool=pool, queue=queue or "")
    if not found:
        return None
    pool_id, queue_id, name = found[0]
    ids = {"work_pool_id": hot.codec.uuid(pool_id), "work_queue_id": hot.codec.uuid(queue_id)}
    return {**ids, "work_queue_name": name}


def find_pool(connection: Connection, name: str) -> Row:
    """The pool of that name; NotFound names the nearest ones."""
    found = one(connection, work_pool, name=name)
    if found is None:
        hint = suggestion(name, pool_names(connection), "There are no work pools yet; create one first.")
        raise NotFound(f"Work pool '{name}' not found.{hint}")
    return found


def queues_of(connection: Connection, pool_id: UUID) -> list[Row]:
    """The queues of a pool in the order they are served."""
    found = select(work_queue).where(work_queue.c.work_pool_id == pool_id)
    return rows(connection, found.order_by(*SERVED))


def _create(connection: Connection, values: Row) -> Row:
    present = queues_of(connection, values["work_pool_id"])
    if any(row["name"] == values["name"] for row in present):
        raise Conflict(
            f"A work queue named '{values['name']}' already exists in this work pool.", code="WorkQueueExists"
        )
    wanted = values["priority"]
    if wanted is None:
        wanted = first_free([row["priority"] for row in present])
    row = {**values, "priority": wanted}
    add(connection, work_queue, row)
    _settle(connection, [*present, row], row["id"], wanted)
    return row


def _change(connection: Connection, id: UUID, values: Mapping[str, Any]) -> Row | None:
    before = one(connection, work_queue, id=id)
    if before is None:
        return None
    name = values.get("name", before["name"])
    if name != before["name"] and one(connection, work_queue, work_pool_id=before["work_pool_id"], name=name):
        raise Conflict(f"A work queue named '{name}' already exists in this work pool.", code="WorkQueueExists")
    change(connection, work_queue, values, id=id)
    if "priority" in values:
        _settle(connection, queues_of(connection, before["work_pool_id"]), id, values["priority"])
    if name != before["name"]:  # the wire shows the name on deployments and runs too
        renamed = {"work_queue_name": name}
        connection.execute(update(deployment).where(deployment.c.work_queue_id == id).values(renamed))
        connection.execute(update(flow_run).where(flow_run.c.work_queue_id == id).values(renamed))
    return one(connection, work_queue, id=id)


def _settle(connection: Connection, queues: Sequence[Row], id: UUID, wanted: int) -> None:
    before = {row["id"]: row["priority"] for row in queues}
    for key, priority in place(before, id, wanted).items():
        if priority != before[key]:
            change(connection, work_queue, {"priority": priority}, id=key)


def _remove(connection: Connection, id: UUID) -> Moved | None:
    queue = one(connection, work_queue, id=id)
    if queue is None:
        return None
    pool = one(connection, work_pool, id=queue["work_pool_id"])
    assert pool is not None
    if pool["default_queue_id"] == id:
        raise Conflict(
            f"Queue '{queue['name']}' is the default queue of work pool '{pool['name']}' and stays as long as "
            "the pool. Pause it instead.",
            code="DefaultQueue",
        )
    default = one(connection, work_queue, id=pool["default_queue_id"])
    assert default is not None
    moved = {"work_queue_id": default["id"]}
    named = {**moved, "work_queue_name": default["name"]}
    living = select(live_run.c.flow_run_id).where(live_run.c.work_queue_id == id)
    connection.execute(update(flow_run).where(flow_run.c.id.in_(living)).values(named))
    runs = connection.execute(update(live_run).where(live_run.c.work_queue_id == id).values(moved)).rowcount
    deployments = connection.execute(update(deployment).where(deployment.c.work_queue_id == id).values(named)).rowcount
    connection.execute(update(slot).where(slot.c.limit_id == id).values(limit_id=default["id"]))
    drop(connection, work_queue, id=id)
    return Moved(runs, deployments, default["name"])
