"""Deployments with their schedules: made or changed whole, moved with the runs that wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, select, update

from headway.core.errors import NotFound
from headway.store.database import Database
from headway.store.filters import Filters, select_page
from headway.store.hot import Hot, unjson
from headway.store.protocols import SchedulePlan
from headway.store.records import Records, Row, add, change, drop, one, rows
from headway.store.tables import (
    deployment,
    deployment_schedule,
    flow,
    flow_run,
    live_run,
    slot,
    work_pool,
)
from headway.store.waiting import Line, next_runs

_LEFT_ALONE = "AwaitingConcurrencySlot"


class DeploymentStore(Records):
    """`store.protocols.Deployments` in SQL."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, deployment)

    async def get(self, id: UUID) -> Row | None:
        return await self.database.read(_read, id)

    async def by_name(self, flow_name: str, name: str) -> Row | None:
        return await self.database.read(_by_name, flow_name, name)

    async def names(self) -> list[str]:
        return await self.database.read(_names)

    async def page(
        self, filters: Filters, *, sort: str | None = None, limit: int | None = 200, offset: int = 0
    ) -> list[Row]:
        statement = select_page(deployment, filters, sort=sort, limit=limit, offset=offset)
        return await self.database.read(lambda connection: _complete(connection, rows(connection, statement)))

    async def save(self, values: Row, schedules: Sequence[Row]) -> tuple[Row, bool]:
        return await self.database.write(_save, values, schedules)

    async def change(self, id: UUID, values: Mapping[str, Any], plan: SchedulePlan) -> bool:
        return await self.database.write(_change, id, values, plan)

    async def set_paused(self, id: UUID, paused: bool, now: datetime) -> bool:
        return await self.database.write(_set_paused, id, paused, now)

    async def change_schedule(self, id: UUID, schedule_id: UUID, values: Mapping[str, Any], now: datetime) -> bool:
        return await self.database.write(_change_schedule, id, schedule_id, values, now)

    async def drop_schedule(self, id: UUID, schedule_id: UUID) -> bool:
        return await self.database.write(_drop_schedule, id, schedule_id)

    async def due(self, ids: Sequence[UUID], before: datetime, limit: int) -> list[UUID]:
        return await self.database.read(_due, ids, before, limit)

    async def polled(self, ids: Sequence[UUID], now: datetime) -> None:
        await self.database.write(_polled, ids, now)

    async def live_runs(self, id: UUID) -> list[tuple[UUID, str]]:
        return await self.database.read(_live_runs, id)

    async def remove(self, id: UUID, now: datetime) -> list[tuple[UUID, str]]:
        return await self.database.write(_remove, id, now)


# --- reading ---


def _read(connection: Connection, id: UUID) -> Row | None:
    found = one(connection, deployment, id=id)
    return None if found is None else _complete(connection, [found])[0]


def _by_name(connection: Connection, flow_name: str, name: str) -> Row | None:
    statement = (
        select(deployment)
        .join(flow, flow.c.id == deployment.c.flow_id)
        .where(flow.c.name == flow_name, deployment.c.name == name)
    )
    found = _complete(connection, rows(connection, statement))
    return found[0] if found else None


def _names(connection: Connection) -> list[str]:
    statement = select(flow.c.name, deployment.c.name).join(flow, flow.c.id == deployment.c.flow_id)
    return sorted(f"{flow_name}/{name}" for flow_name, name in connection.execute(statement))


def _complete(connection: Connection, found: list[Row]) -> list[Row]:
    """Each row with its `schedules`, `work_pool_name` and `active_slots`; three statements for any number."""
    ids = [row["id"] for row in found]
    pool_ids = {row["work_pool_id"] for row in found if row["work_pool_id"] is not None}
    limited = [row["id"] for row in found if row["concurrency_limit"] is not None]
    schedules: dict[UUID, list[Row]] = {}
    for row in rows(connection, _schedules_of(ids)) if ids else []:
        schedules.setdefault(row["deployment_id"], []).append(row)
    names = _pairs(connection, select(work_pool.c.id, work_pool.c.name).where(work_pool.c.id.in_(pool_ids)))
    counted = select(slot.c.limit_id, func.count()).where(slot.c.limit_id.in_(limited)).group_by(slot.c.limit_id)
    used = _pairs(connection, counted) if limited else {}
    return [
        {
            **row,
            "schedules": schedules.get(row["id"], []),
            "work_pool_name": names.get(row["work_pool_id"]),
            "active_slots": used.get(row["id"], 0),
        }
        for row in found
    ]


def _pairs(connection: Connection, statement: Any) -> dict[UUID, Any]:
    return {row[0]: row[1] for row in connection.execute(statement)}


def _schedules_of(ids: Sequence[UUID]) -> Any:
    wanted = select(deployment_schedule).where(deployment_schedule.c.deployment_id.in_(ids))
    return wanted.order_by(deployment_schedule.c.created, deployment_schedule.c.id)


def _due(connection: Connection, ids: Sequence[UUID], before: datetime, limit: int) -> list[UUID]:
    return next_runs(connection, Line(before, limit, deployment_ids=ids))


# --- writing ---


def _polled(connection: Connection, ids: Sequence[UUID], now: datetime) -> None:
    seen = update(deployment).where(deployment.c.id.in_(ids))
    connection.execute(seen.values(last_polled=now, status="READY"))


def _save(connection: Connection, values: Row, schedules: Sequence[Row]) -> tuple[Row, bool]:
    hot = Hot(connection)
    known = {
        name: hot.codec.id(values[column]) for name, column in (("flow_id", "flow_id"), ("pool_id", "work_pool_id"))
    }
    facts = hot.rows("deployment_facts", name=values["name"], **known)
    if not facts:
        raise NotFound(f"Flow {values['flow_id']} not found. Create the flow before its deployment.")
    labels, existing, pool_name = facts[0]
    values = {**values, "labels": {**unjson(labels), **values["labels"]}}  # handed down, as in the reference
    before = None if existing is None else one(connection, deployment, id=hot.codec.uuid(existing))
    now = values["updated"]
    if before is None:
        id = values["id"]
        add(connection, deployment, values)
    else:
        id = before["id"]
        kept = ("id", "created", "created_by", "status", "last_polled")
        changes = {key: value for key, value in values.items() if key not in kept}
        # A new deploy describes what runs, not whether it may: whoever paused it resumes it.
        changes["paused"] = values["paused"] or before["paused"]
        change(connection, deployment, changes, id=id)
        _move_waiting(connection, before, values)
        _forget_planned(connection, id, after=now)
        drop(connection, deployment_schedule, deployment_id=id)
    made = [{**row, "deployment_id": id} for row in schedules]
    add(connection, deployment_schedule, made)
    saved = _read(connection, id) if before is not None else _as_new(values, made, pool_name)
    assert saved is not None
    return saved, before is None


def _as_new(values: Row, schedules: Sequence[Row], pool_name: str | None) -> Row:
    """What reading a deployment that was made this moment finds."""
    columns = {column.name: values.get(column.name) for column in deployment.columns}
    return {**columns, "schedules": list(schedules), "work_pool_name": pool_name, "active_slots": 0}


def _change(connection: Connection, id: UUID, values: Mapping[str, Any], plan: SchedulePlan) -> bool:
    before = one(connection, deployment, id=id)
    if before is None:
        return False
    change(connection, deployment, values, id=id)
    _move_waiting(connection, before, {**before, **values})
    if plan.replaced or plan.created or plan.changed or values.keys() - {"updated"}:
        _forget_planned(connection, id, after=values["updated"])
    if plan.replaced:
        drop(connection, deployment_schedule, deployment_id=id)
    for schedule_id, changes in plan.changed.items():
        change(connection, deployment_schedule, changes, id=schedule_id, deployment_id=id)
    add(connection, deployment_schedule, [{**row, "deployment_id": id} for row in plan.created])
    return True


def _set_paused(connection: Connection, id: UUID, paused: bool, now: datetime) -> bool:
    if not change(connection, deployment, {"paused": paused, "updated": now}, id=id):
        return False
    if paused:
        _forget_planned(connection, id)
    return True


def _change_schedule(
    connection: Connection, id: UUID, schedule_id: UUID, values: Mapping[str, Any], now: datetime
) -> bool:
    if not change(connection, deployment_schedule, values, id=schedule_id, deployment_id=id):
        return False
    change(connection, deployment, {"updated": now}, id=id)
    _forget_planned(connection, id, after=now, schedule_id=schedule_id)
    return True


def _drop_schedule(connection: Connection, id: UUID, schedule_id: UUID) -> bool:
    if not drop(connection, deployment_schedule, id=schedule_id, deployment_id=id):
        return False
    _forget_planned(connection, id, schedule_id=schedule_id)
    return True


def _live_runs(connection: Connection, id: UUID) -> list[tuple[UUID, str]]:
    found = select(live_run.c.flow_run_id, live_run.c.state_type).where(live_run.c.deployment_id == id)
    return [(run_id, type) for run_id, type in connection.execute(found)]


def _remove(connection: Connection, id: UUID, now: datetime) -> list[tuple[UUID, str]]:
    """Delete the deployment unless runs of it live: then those. Runs that a schedule planned ahead go with it."""
    planned = _planned(id, after=now)
    living = _live_runs(connection, id)
    ahead = set(connection.execute(planned).scalars()) if living else set()
    if holding := [(run_id, type) for run_id, type in living if run_id not in ahead]:
        return holding
    _forget_planned(connection, id, after=now)
    drop(connection, slot, limit_id=id)
    drop(connection, deployment, id=id)
    return []


def _planned(id: UUID, after: datetime | None, schedule_id: UUID | None = None) -> Any:
    """The runs that schedules made and that nobody has touched since."""
    wanted = (
        select(flow_run.c.id)
        .join(live_run, live_run.c.flow_run_id == flow_run.c.id)
        .where(
            live_run.c.deployment_id == id,
            live_run.c.state_type == "SCHEDULED",
            live_run.c.state_name != _LEFT_ALONE,
            live_run.c.attempt.is_(None),
            flow_run.c.auto_scheduled,
            flow_run.c.run_count == 0,
        )
    )
    if after is not None:
        wanted = wanted.where(live_run.c.due > after)
    if schedule_id is not None:
        wanted = wanted.where(flow_run.c.schedule_id == schedule_id)
    return wanted


def _forget_planned(
    connection: Connection, id: UUID, *, after: datetime | None = None, schedule_id: UUID | None = None
) -> None:
    connection.execute(delete(flow_run).where(flow_run.c.id.in_(_planned(id, after, schedule_id))))
    stale = update(deployment_schedule).where(deployment_schedule.c.deployment_id == id)
    if schedule_id is not None:
        stale = stale.where(deployment_schedule.c.id == schedule_id)
    connection.execute(stale.values(look_at=None))


def _move_waiting(connection: Connection, before: Row, after: Mapping[str, Any]) -> int:
    """Runs that wait go where their deployment went; one with a queue of its own stays if the pool does."""
    if before["work_queue_id"] == after["work_queue_id"]:
        return 0
    waiting = select(live_run.c.flow_run_id).where(
        live_run.c.deployment_id == before["id"],
        live_run.c.state_type == "SCHEDULED",
        live_run.c.attempt.is_(None),
    )
    if before["work_pool_id"] == after["work_pool_id"]:
        waiting = waiting.where(live_run.c.work_queue_id == before["work_queue_id"])
    place = {name: after[name] for name in ("work_pool_id", "work_queue_id")}
    named = {**place, "work_queue_name": after["work_queue_name"]}
    connection.execute(update(flow_run).where(flow_run.c.id.in_(waiting)).values(named))
    return connection.execute(update(live_run).where(live_run.c.flow_run_id.in_(waiting)).values(place)).rowcount
