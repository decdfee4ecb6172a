"""Flow runs: reading them with what belongs to them, changing what is not their state, deleting them.

New runs and new states are written by store/transitions.py alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, delete, func, select, update

from headway.store import run_pages
from headway.store.database import Database
from headway.store.filters import Filters, select_page
from headway.store.protocols import RawRun
from headway.store.records import Records, Row, one, rows
from headway.store.states import attach_states
from headway.store.tables import attempt, deployment, flow, flow_run, flow_run_state, work_pool, work_queue

__all__ = ["FlowRunStore"]

T = TypeVar("T")


class FlowRunStore(Records):
    """`store.protocols.FlowRuns` in SQL."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, flow_run)

    async def get(self, id: UUID) -> Row | None:
        found = await self.database.read(_page, select(flow_run).where(flow_run.c.id == id))
        return found[0] if found else None

    async def page(
        self, filters: Filters, *, sort: str | None = None, limit: int | None = 200, offset: int = 0
    ) -> list[Row]:
        return await self.database.read(_page, select_page(flow_run, filters, sort=sort, limit=limit, offset=offset))

    async def count(self, filters: Filters) -> int:
        return await self.database.read(run_pages.count, filters)

    async def raw_page(
        self, shape: Callable[[list[RawRun]], T], filters: Filters, *, sort: str | None, limit: int, offset: int
    ) -> T:
        def read(connection: Connection) -> T:
            return shape(run_pages.page(connection, filters, sort, limit, offset))

        return await self.database.read(read)

    async def raw_page_and_count(
        self, shape: Callable[[list[RawRun]], T], filters: Filters, *, sort: str | None, limit: int, offset: int
    ) -> tuple[T, int]:
        def read(connection: Connection) -> tuple[T, int]:
            found = run_pages.page(connection, filters, sort, limit, offset)
            return shape(found), run_pages.count(connection, filters)

        return await self.database.read(read)

    async def ids(self, filters: Filters, limit: int) -> list[UUID]:
        chosen = select_page(flow_run, filters, limit=limit).with_only_columns(flow_run.c.id)
        return await self.database.read(lambda connection: list(connection.execute(chosen).scalars()))

    async def delete_many(self, filters: Filters, limit: int | None) -> list[UUID]:
        return await self.database.write(_delete_many, filters, limit)

    async def merge_labels(self, id: UUID, labels: dict[str, Any], values: Row) -> bool:
        return await self.database.write(_merge_labels, id, labels, values)

    async def surroundings(self, id: UUID) -> Row | None:
        return await self.database.read(_surroundings, id)

    async def origin(self, flow_id: UUID, pool: str | None, queue: str | None) -> Row:
        return await self.database.read(_origin, flow_id, pool, queue)


def _page(connection: Connection, statement: Any) -> list[Row]:
    found = rows(connection, statement)
    if found:
        attach_states(connection, found, flow_run_state)
        _attach_pools(connection, found)
        _attach_attempts(connection, found)
    return found


def _attach_pools(connection: Connection, runs: Sequence[Row]) -> None:
    ids = {run["work_pool_id"] for run in runs} - {None}
    named = select(work_pool.c.id, work_pool.c.name).where(work_pool.c.id.in_(ids))
    names = {row.id: row.name for row in connection.execute(named)} if ids else {}
    for run in runs:
        run["work_pool_name"] = names.get(run["work_pool_id"])


def _attach_attempts(connection: Connection, runs: Sequence[Row]) -> None:
    ids = [run["id"] for run in runs]
    newest = (
        select(attempt.c.flow_run_id, func.max(attempt.c.number).label("number"))
        .where(attempt.c.flow_run_id.in_(ids))
        .group_by(attempt.c.flow_run_id)
    )
    numbers = {row.flow_run_id: row.number for row in connection.execute(newest)}
    for run in runs:
        run["attempt"] = numbers.get(run["id"])


def _delete_many(connection: Connection, filters: Filters, limit: int | None) -> list[UUID]:
    chosen = select_page(flow_run, filters, limit=limit).with_only_columns(flow_run.c.id)
    ids = list(connection.execute(chosen).scalars())
    if ids:
        connection.execute(delete(flow_run).where(flow_run.c.id.in_(ids)))
    return ids


def _merge_labels(connection: Connection, id: UUID, labels: dict[str, Any], values: Row) -> bool:
    row = one(connection, flow_run, id=id)
    if row is None:
        return False
    merged = {**row["labels"], **labels}
    connection.execute(update(flow_run).where(flow_run.c.id == id).values(labels=merged, **values))
    return True


def _surroundings(connection: Connection, id: UUID) -> Row | None:
    """What job variables of a run are checked against."""
    run = one(connection, flow_run, id=id)
    if run is None:
        return None
    found = None if run["deployment_id"] is None else one(connection, deployment, id=run["deployment_id"])
    pool_id = run["work_pool_id"] or (found or {}).get("work_pool_id")
    pool = None if pool_id is None else one(connection, work_pool, id=pool_id)
    return {"run": run, "deployment": found, "work_pool": pool}


def _origin(connection: Connection, flow_id: UUID, pool: str | None, queue: str | None) -> Row:
    """The flow, pool and queue that a new run names; None for each that does not exist or is not named."""
    found: Row = {"flow": one(connection, flow, id=flow_id), "work_pool": None, "work_queue": None}
    if pool is None:
        return found
    found["work_pool"] = one(connection, work_pool, name=pool)
    if found["work_pool"] is not None:
        at = {"name": queue} if queue is not None else {"id": found["work_pool"]["default_queue_id"]}
        found["work_queue"] = one(connection, work_queue, work_pool_id=found["work_pool"]["id"], **at)
    return found
