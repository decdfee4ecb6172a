"""Flows: one row per name."""

from __future__ import annotations

from sqlalchemy import Connection

from headway.store.database import Database
from headway.store.records import Records, Row, add, one
from headway.store.tables import flow


class FlowStore(Records):
    """`store.protocols.Flows` in SQL."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, flow)

    async def create(self, values: Row) -> tuple[Row, bool]:
        return await self.database.write(_create, values)


def _create(connection: Connection, values: Row) -> tuple[Row, bool]:
    existing = one(connection, flow, name=values["name"])
    if existing is not None:
        return existing, False
    add(connection, flow, values)
    return values, True
