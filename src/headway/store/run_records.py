"""Flow runs together with what is needed to start them: flow, deployment, pool and queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection, Table, select

from headway.store.database import Database
from headway.store.protocols import RawRun
from headway.store.records import Row, rows
from headway.store.run_pages import runs_by_id
from headway.store.states import attach_states
from headway.store.tables import attempt, deployment, flow, flow_run, flow_run_state, work_pool, work_queue

__all__ = ["RunRecordStore", "surroundings"]

T = TypeVar("T")


class RunRecordStore:
    """`store.protocols.RunRecords` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def runs(self, ids: Sequence[UUID]) -> list[Row]:
        return await self.database.read(_runs, ids)

    async def raw_runs(self, shape: Callable[[list[RawRun]], T], ids: Sequence[UUID]) -> T:
        return await self.database.read(lambda connection: shape(runs_by_id(connection, ids)))

    async def with_surroundings(self, ids: Sequence[UUID]) -> list[Row]:
        return await self.database.read(surroundings, ids)


def _runs(connection: Connection, ids: Sequence[UUID]) -> list[Row]:
    found = rows(connection, select(flow_run).where(flow_run.c.id.in_(ids)))
    attach_states(connection, found, flow_run_state)
    pools = _by_id(connection, work_pool, {run["work_pool_id"] for run in found})
    newest = select(attempt.c.flow_run_id, attempt.c.number).where(attempt.c.flow_run_id.in_(ids))
    numbers = {row[0]: row[1] for row in connection.execute(newest.order_by(attempt.c.number))}
    for run in found:
        pool = pools.get(run["work_pool_id"])
        run["work_pool_name"] = None if pool is None else pool["name"]
        run["attempt"] = numbers.get(run["id"])
    return found


def surroundings(connection: Connection, ids: Sequence[UUID]) -> list[Row]:
    """Per run: `run`, `flow`, and `deployment`, `work_pool`, `work_queue` or None."""
    runs = _runs(connection, ids)
    flows = _by_id(connection, flow, {run["flow_id"] for run in runs})
    deployments = _by_id(connection, deployment, {run["deployment_id"] for run in runs})
    pools = _by_id(connection, work_pool, {run["work_pool_id"] for run in runs})
    queues = _by_id(connection, work_queue, {run["work_queue_id"] for run in runs})
    for one in deployments.values():
        pool = pools.get(one["work_pool_id"])
        one["work_pool_name"] = None if pool is None else pool["name"]
    return [
        {
            "run": run,
            "flow": flows[run["flow_id"]],
            "deployment": deployments.get(run["deployment_id"]),
            "work_pool": pools.get(run["work_pool_id"]),
            "work_queue": queues.get(run["work_queue_id"]),
        }
        for run in runs
    ]


def _by_id(connection: Connection, table: Table, ids: set[UUID | None]) -> dict[UUID | None, Row]:
    wanted = [id for id in ids if id is not None]
    if not wanted:
        return {}
    return {row["id"]: row for row in rows(connection, select(table).where(table.c.id.in_(wanted)))}
