"""Inputs that running flows wait for or were given: text by key, unique per run."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, select

from headway.core.errors import Conflict, NotFound
from headway.store.database import Database
from headway.store.records import Row, add, drop, one, rows
from headway.store.tables import flow_run, flow_run_input

__all__ = ["FlowRunInputStore"]


class FlowRunInputStore:
    """`store.protocols.FlowRunInputs` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def create(self, values: Row) -> None:
        await self.database.write(_create, values)

    async def get(self, run_id: UUID, key: str) -> Row | None:
        return await self.database.read(one, flow_run_input, flow_run_id=run_id, key=key)

    async def starting_with(self, run_id: UUID, prefix: str, without: Sequence[str], limit: int) -> list[Row]:
        columns = flow_run_input.c
        statement = (
            select(flow_run_input)
            .where(columns.flow_run_id == run_id, columns.key.startswith(prefix, autoescape=True))
            .where(columns.key.not_in(list(without)))
            .order_by(columns.created, columns.id)
            .limit(limit)
        )
        return await self.database.read(rows, statement)

    async def delete(self, run_id: UUID, key: str) -> bool:
        return bool(await self.database.write(drop, flow_run_input, flow_run_id=run_id, key=key))


def _create(connection: Connection, values: Row) -> None:
    if one(connection, flow_run, id=values["flow_run_id"]) is None:
        raise NotFound(f"Flow run {values['flow_run_id']} not found.")
    if one(connection, flow_run_input, flow_run_id=values["flow_run_id"], key=values["key"]) is not None:
        raise Conflict("A flow run input with this key already exists.")
    add(connection, flow_run_input, values)
