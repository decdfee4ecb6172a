"""Deleting by age, in batches small enough to share the writer with states."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Connection, Table, delete, select

from headway.store.database import Database
from headway.store.tables import event, flow_run, log, task_run


class RetentionStore:
    """`store.protocols.Retention` in SQL, over the record and the telemetry."""

    def __init__(self, record: Database, telemetry: Database) -> None:
        self._where: dict[str, tuple[Database, Table, Column[datetime]]] = {
            "logs": (telemetry, log, log.c.timestamp),
            "events": (telemetry, event, event.c.occurred),
            # Rows that end have an end time; what belongs to a run goes with it.
            "flow_runs": (record, flow_run, flow_run.c.end_time),
        }

    async def drop(self, kind: str, before: datetime, limit: int) -> int:
        database, table, age = self._where[kind]
        if kind == "flow_runs":
            # A run may have any number of task runs: they go first, or one transaction would have no bound.
            while await database.write(drop_tasks, before, limit) == limit:
                pass
        return await database.write(drop, table, age, before, limit)


def drop_tasks(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most `limit` task runs of the `limit` runs that ended first, before then."""
    runs = select(flow_run.c.id).where(flow_run.c.end_time < before).order_by(flow_run.c.end_time).limit(limit)
    tasks = select(task_run.c.id).where(task_run.c.flow_run_id.in_(runs)).limit(limit)
    return connection.execute(delete(task_run).where(task_run.c.id.in_(tasks))).rowcount


def drop(connection: Connection, table: Table, age: Column[datetime], before: datetime, limit: int) -> int:
    old = select(table.c.id).where(age < before).order_by(age).limit(limit)
    return connection.execute(delete(table).where(table.c.id.in_(old))).rowcount
