"""Events as they came, and those that nobody could use. States are events too and are not kept twice."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Connection, select

from headway.store.database import Database
from headway.store.records import Row, add
from headway.store.tables import dead_letter, event, flow_run_state, task_run_state
from headway.store.upsert import insert_or

__all__ = ["EventStore"]


class EventStore:
    """`store.protocols.Events` in SQL: states stand in the record, events in the telemetry."""

    def __init__(self, record: Database, telemetry: Database) -> None:
        self.record = record
        self.telemetry = telemetry

    async def states_among(self, ids: Collection[UUID]) -> set[UUID]:
        return await self.record.read(_states_among, ids)

    async def add(self, events: Sequence[Row]) -> None:
        await self.telemetry.write(_add, events)

    async def bury(self, letters: Sequence[Row]) -> None:
        await self.telemetry.write(add, dead_letter, letters)


def _states_among(connection: Connection, ids: Collection[UUID]) -> set[UUID]:
    found: set[UUID] = set()
    for table in (flow_run_state, task_run_state):
        found.update(connection.execute(select(table.c.id).where(table.c.id.in_(ids))).scalars())
    return found


def _add(connection: Connection, events: Sequence[Row]) -> None:
    connection.execute(insert_or(connection, event).on_conflict_do_nothing(index_elements=["id"]), list(events))
