"""What the scheduler reads and writes. A schedule keeps until when it is filled (`look_at`), so that a pass looks
at those that are due and not at a thousand others; what makes a schedule's runs stale empties `look_at`.

Two servers may fill the same schedule at once. Whoever writes second finds that `look_at` is not what it was when it
read the schedule, and writes nothing for it; so does a server whose schedule was changed while it planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, func, or_, select

from headway.store.database import Database
from headway.store.hot import Hot, instant
from headway.store.protocols import Plan, PlannedRun
from headway.store.records import Row, rows
from headway.store.tables import deployment, deployment_schedule, flow_run
from headway.store.types import to_json

_DEPLOYMENT_COLUMNS = (
    "id", "flow_id", "version", "work_pool_id", "work_queue_id", "work_queue_name", "parameters", "tags", "labels",
    "infrastructure_document_id", "retries", "retry_delay", "retry_on_crash",
)  # fmt: skip
_IDS = ("flow_id", "deployment_id", "schedule_id", "work_pool_id", "work_queue_id", "infrastructure_document_id")
_OBJECTS = ("parameters", "empirical_policy", "tags", "labels", "created_by")
_TEXTS = ("deployment_version", "work_queue_name", "auto_scheduled")


class SchedulingStore:
    """`store.protocols.Scheduling` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def due(self, now: datetime, limit: int) -> list[Row]:
        return await self.database.read(_due, now, limit)

    async def schedules_of(self, deployment_id: UUID) -> list[Row]:
        active = _schedules().where(deployment.c.id == deployment_id, deployment_schedule.c.active)
        return await self.database.read(rows, active)

    async def insert_planned(self, plans: Sequence[Plan], now: datetime) -> int:
        return await self.database.write(_insert_planned, plans, now)


def _schedules() -> Select[Any]:
    return select(
        deployment_schedule.c.id.label("schedule_id"),
        deployment_schedule.c.schedule,
        deployment_schedule.c.max_scheduled_runs,
        deployment_schedule.c.parameters.label("schedule_parameters"),
        deployment_schedule.c.slug,
        deployment_schedule.c.look_at,
        deployment.c.updated,
        *(deployment.c[name] for name in _DEPLOYMENT_COLUMNS),
    ).join(deployment, deployment.c.id == deployment_schedule.c.deployment_id)


def _due(connection: Connection, now: datetime, limit: int) -> list[Row]:
    look_at = deployment_schedule.c.look_at
    wanted = _schedules().where(
        deployment_schedule.c.active, deployment.c.paused.is_(False), or_(look_at.is_(None), look_at <= now)
    )
    found = rows(connection, wanted.order_by(look_at.nulls_first(), deployment_schedule.c.id).limit(limit))
    looked = [row["schedule_id"] for row in found if row["look_at"] is not None]
    ahead = _ahead(connection, looked, now) if looked else {}
    return [{**row, **ahead.get(row["schedule_id"], {})} for row in found]


def _ahead(connection: Connection, ids: Sequence[UUID], now: datetime) -> dict[UUID, Row]:
    """What is planned already, by when it was planned for: a retry or a person may have moved when it is due."""
    expected = flow_run.c.expected_start_time
    planned = (
        select(
            flow_run.c.schedule_id,
            func.count().label("planned"),
            func.min(expected).label("first"),
            func.max(expected).label("last"),
        )
        .where(flow_run.c.schedule_id.in_(ids), expected >= now, flow_run.c.state_type == "SCHEDULED")
        .group_by(flow_run.c.schedule_id)
    )
    return {row["schedule_id"]: row for row in rows(connection, planned)}


def _insert_planned(connection: Connection, plans: Sequence[Plan], now: datetime) -> int:
    """Insert runs whose idempotency key is free, each with its state and live row; how many that were."""
    good = _still_good(connection, plans)
    hot = Hot(connection)
    planned = [(plan, run) for plan in good for run in plan.runs]
    if planned:
        encoded = {id(plan): _shared(hot, plan, now) for plan in good}
        _insert(connection, hot, [_run(hot, encoded[id(plan)], run) for plan, run in planned])
        made = _made(connection, [run.id for _, run in planned])
        planned = [(plan, run) for plan, run in planned if run.id in made]
        states, living = ([make(hot, plan, run, now) for plan, run in planned] for make in (_state, _live))
        hot.write_all({"add_live_run": living, "add_flow_run_state": states})
    looked = [plan for plan in good if plan.look_at is not None]
    hot.write("look_at_schedule", [{"id": hot.codec.id(p.schedule_id), "look_at": instant(p.look_at)} for p in looked])
    return len(planned)


def _still_good(connection: Connection, plans: Sequence[Plan]) -> list[Plan]:
    """Without plans for schedules that somebody filled, changed, paused or dropped meanwhile."""
    asked = [plan.schedule_id for plan in plans]
    known = (
        select(deployment_schedule.c.id, deployment_schedule.c.look_at, deployment.c.updated, deployment.c.paused)
        .join(deployment, deployment.c.id == deployment_schedule.c.deployment_id)
        .where(deployment_schedule.c.id.in_(asked), deployment_schedule.c.active)
        .order_by(deployment_schedule.c.id)
        .with_for_update(of=deployment_schedule)
    )
    seen = {id: tuple(rest) for id, *rest in connection.execute(known)}
    return [
        plan
        for plan in plans
        if plan.schedule_id in seen
        and (plan.look_at is None or seen[plan.schedule_id] == (plan.seen_look_at, plan.seen_updated, False))
    ]


def _insert(connection: Connection, hot: Hot, runs: Sequence[Row]) -> None:
    if connection.dialect.name == "postgresql":
        hot.rows("plan_flow_runs", rows=to_json(runs))
    else:
        hot.write("plan_flow_run", runs)


def _made(connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    return set(connection.execute(select(flow_run.c.id).where(flow_run.c.id.in_(ids))).scalars())


def _shared(hot: Hot, plan: Plan, now: datetime) -> Row:
    shared = plan.shared
    return {
        **{name: hot.codec.id(shared[name]) for name in _IDS},
        **{name: to_json(shared[name]) for name in _OBJECTS},
        **{name: shared[name] for name in _TEXTS},
        "created": instant(now),
    }


def _run(hot: Hot, shared: Row, run: PlannedRun) -> Row:
    state = run.state
    return {
        **shared,
        "id": hot.codec.id(run.id),
        "name": run.name,
        "idempotency_key": run.idempotency_key,
        "state_id": hot.codec.id(state.id),
        "state_type": state.type.value,
        "state_name": state.name,
        "due": instant(run.due),
    }


def _state(hot: Hot, _: Plan, run: PlannedRun, now: datetime) -> Row:
    state = run.state
    return {
        "id": hot.codec.id(state.id),
        "flow_run_id": hot.codec.id(run.id),
        "type": state.type.value,
        "name": state.name,
        "timestamp": instant(now),
        "message": state.message,
        "data": None,
        "state_details": to_json(dict(state.details)),
        "attempt": None,
    }


def _live(hot: Hot, plan: Plan, run: PlannedRun, now: datetime) -> Row:
    places: Iterable[str] = ("work_pool_id", "work_queue_id", "deployment_id")
    return {
        "flow_run_id": hot.codec.id(run.id),
        "state_type": run.state.type.value,
        "state_name": run.state.name,
        **{name: hot.codec.id(plan.shared[name]) for name in places},
        "due": instant(run.due),
        "claimable": True,
        "attempt": None,
        "state_since": instant(now),
        "retries_used": 0,
        "start_failures": 0,
    }
