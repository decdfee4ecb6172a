"""Log lines: added in batches, each once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Connection, delete

from headway.store.batches import write_rows
from headway.store.database import Database
from headway.store.records import Records, Row
from headway.store.tables import log
from headway.store.types import to_micros

__all__ = ["LogStore"]


class LogStore(Records):
    """`store.protocols.Logs` in SQL."""

    def __init__(self, telemetry: Database) -> None:
        super().__init__(telemetry, log)

    async def add(self, lines: Sequence[Row]) -> None:
        await self.database.write(_add, lines)

    async def drop_runs(self, flow_run_ids: Collection[UUID]) -> None:
        await self.database.write(_drop_runs, flow_run_ids)


def _add(connection: Connection, lines: Sequence[Row]) -> None:
    rows = [
        (
            line["id"].hex,
            to_micros(line["created"]),
            to_micros(line["updated"]),
            line["name"],
            line["level"],
            line["message"],
            to_micros(line["timestamp"]),
            line["flow_run_id"] and line["flow_run_id"].hex,
            line["task_run_id"] and line["task_run_id"].hex,
            line["attempt"],
            line["position"],
        )
        for line in lines
    ]
    write_rows(connection, "logs_add", rows)


def _drop_runs(connection: Connection, flow_run_ids: Collection[UUID]) -> None:
    connection.execute(delete(log).where(log.c.flow_run_id.in_(flow_run_ids)))
