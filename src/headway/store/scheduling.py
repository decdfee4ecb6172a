"""What the scheduler reads and writes: one select for all schedules, four statements for all runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, and_, case, func, insert, literal, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from headway.store.database import Database
from headway.store.protocols import PlannedRun
from headway.store.records import Row, rows
from headway.store.tables import deployment, deployment_schedule, flow_run, flow_run_state, live_run

_DEPLOYMENT_COLUMNS = (
    "id", "flow_id", "version", "work_pool_id", "work_queue_id", "work_queue_name", "parameters", "tags", "labels",
    "infrastructure_document_id", "retries", "retry_delay", "retry_on_crash",
)  # fmt: skip


class SchedulingStore:
    """`store.protocols.Scheduling` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def hungry(
        self, now: datetime, filled_until: datetime, min_runs: int, *, after: UUID | None, limit: int
    ) -> list[Row]:
        statement = _hungry(now, filled_until, min_runs, after).limit(limit)
        return await self.database.read(rows, statement)

    async def schedules_of(self, deployment_id: UUID) -> list[Row]:
        active = _schedules().where(deployment.c.id == deployment_id, deployment_schedule.c.active)
        return await self.database.read(rows, active)

    async def insert_planned(self, runs: Sequence[PlannedRun]) -> int:
        return await self.database.write(_insert_planned, runs)


def _schedules() -> Select[Any]:
    return select(
        deployment_schedule.c.id.label("schedule_id"),
        deployment_schedule.c.schedule,
        deployment_schedule.c.max_scheduled_runs,
        deployment_schedule.c.parameters.label("schedule_parameters"),
        deployment_schedule.c.slug,
        *(deployment.c[name] for name in _DEPLOYMENT_COLUMNS),
    ).join(deployment, deployment.c.id == deployment_schedule.c.deployment_id)


def _hungry(now: datetime, filled_until: datetime, min_runs: int, after: UUID | None) -> Select[Any]:
    """Active schedules with too few runs ahead, or none far enough ahead (CONTRACT §3)."""
    planned = (
        select(
            flow_run.c.schedule_id,
            func.count().label("runs"),
            func.max(flow_run.c.expected_start_time).label("last"),
        )
        .join(flow_run, flow_run.c.id == live_run.c.flow_run_id)
        .where(
            live_run.c.state_type == "SCHEDULED",
            live_run.c.due >= now,
            # Not the due time, which a retry or a person may have moved.
            flow_run.c.expected_start_time >= now,
            flow_run.c.schedule_id.is_not(None),
        )
        .group_by(flow_run.c.schedule_id)
        .subquery()
    )
    most = deployment_schedule.c.max_scheduled_runs
    least = case((most < min_runs, most), else_=literal(min_runs))
    runs = func.coalesce(planned.c.runs, 0)
    wanted = (
        _schedules()
        .add_columns(runs.label("planned"), planned.c.last)
        .join(planned, planned.c.schedule_id == deployment_schedule.c.id, isouter=True)
        .where(
            deployment_schedule.c.active,
            deployment.c.paused.is_(False),
            or_(runs < least, and_(planned.c.last < filled_until, or_(most.is_(None), runs < most))),
        )
        .order_by(deployment_schedule.c.id)
    )
    return wanted if after is None else wanted.where(deployment_schedule.c.id > after)


def _insert_planned(connection: Connection, runs: Sequence[PlannedRun]) -> int:
    """Insert those whose idempotency key is free, each with its state and live row; how many that were.

    Two servers may plan the same runs at once: the unique key decides, and only the rows that this
    transaction made have no live row yet.
    """
    connection.execute(_insert_or_ignore(connection), [run.run for run in runs])
    dues = [run.run["expected_start_time"] for run in runs]
    made = set(
        connection.execute(
            select(flow_run.c.id)
            .join(live_run, live_run.c.flow_run_id == flow_run.c.id, isouter=True)
            .where(
                flow_run.c.state_type == "SCHEDULED",
                flow_run.c.expected_start_time.between(min(dues), max(dues)),
                flow_run.c.auto_scheduled,
                live_run.c.flow_run_id.is_(None),
            )
        ).scalars()
    )
    new = [run for run in runs if run.run["id"] in made]
    if new:
        connection.execute(insert(flow_run_state), [run.state for run in new])
        connection.execute(insert(live_run), [_live(run.run) for run in new])
    return len(new)


def _insert_or_ignore(connection: Connection) -> Any:
    # differs because "insert unless the key exists" is no part of standard SQL.
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(flow_run).on_conflict_do_nothing(index_elements=["flow_id", "idempotency_key"])


def _live(run: Row) -> Row:
    return {
        "flow_run_id": run["id"],
        "state_type": run["state_type"],
        "state_name": run["state_name"],
        "work_pool_id": run["work_pool_id"],
        "work_queue_id": run["work_queue_id"],
        "deployment_id": run["deployment_id"],
        "due": run["next_scheduled_start_time"],
        "claimable": True,
        "attempt": None,
        "state_since": run["state_timestamp"],
        "retries_used": 0,
        "start_failures": 0,
    }
