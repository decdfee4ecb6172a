"""States of flow runs and of task runs: two tables of one shape, read only here and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Column, Connection, Table, select

from headway.store.database import Database
from headway.store.records import Row, one, rows
from headway.store.tables import flow_run_state, task_run_state

__all__ = ["StateStore", "attach_states"]


class StateStore:
    """`store.protocols.States` in SQL, over one of the two tables."""

    def __init__(self, database: Database, table: Table) -> None:
        self.database = database
        self.table = table

    @classmethod
    def of_flow_runs(cls, database: Database) -> StateStore:
        return cls(database, flow_run_state)

    @classmethod
    def of_task_runs(cls, database: Database) -> StateStore:
        return cls(database, task_run_state)

    async def get(self, id: UUID) -> Row | None:
        return await self.database.read(one, self.table, id=id)

    async def of_run(self, run_id: UUID) -> list[Row]:
        statement = select(self.table).where(_owner(self.table) == run_id)
        return await self.database.read(rows, statement.order_by(self.table.c.timestamp, self.table.c.seq))


def attach_states(connection: Connection, runs: Sequence[Row], table: Table) -> None:
    """Give each row of runs its current state as `state`, None if it has none."""
    ids = [run["state_id"] for run in runs if run["state_id"] is not None]
    found = {row["id"]: row for row in rows(connection, select(table).where(table.c.id.in_(ids)))} if ids else {}
    for run in runs:
        run["state"] = found.get(run["state_id"])


def _owner(table: Table) -> Column[UUID]:
    return table.c.flow_run_id if table is flow_run_state else table.c.task_run_id
