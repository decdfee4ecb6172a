"""Which runs schedules need next, and making them: every pass is a few statements, however many deployments."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from headway.core import states
from headway.core.clock import Clock
from headway.core.errors import HeadwayError
from headway.core.ids import new_id
from headway.core.rules.facts import Policy
from headway.core.run_names import new_name
from headway.core.schedules import times_to_plan
from headway.core.settings import SchedulerSettings
from headway.server.services.schedules import schedule_of
from headway.store.protocols import PlannedRun, Row, Scheduling

__all__ = ["Limits", "Planner"]

logger = logging.getLogger("headway.server.scheduler")


@dataclass(frozen=True, slots=True)
class Limits:
    """How many runs a schedule keeps, and how far ahead (CONTRACT §3)."""

    min_runs: int
    max_runs: int
    min_ahead: timedelta
    max_ahead: timedelta

    @classmethod
    def of(cls, settings: SchedulerSettings) -> Limits:
        return cls(
            min_runs=settings.min_runs,
            max_runs=settings.max_runs,
            min_ahead=timedelta(seconds=settings.min_ahead_seconds),
            max_ahead=timedelta(seconds=settings.max_ahead_seconds),
        )


class Planner:
    """Fills schedules with runs. Repeating is safe: a run's idempotency key names its schedule and time."""

    def __init__(self, store: Scheduling, clock: Clock, settings: SchedulerSettings) -> None:
        self.limits = Limits.of(settings)
        self._store = store
        self._clock = clock
        self._batch = settings.batch

    async def fill_all(self) -> int:
        """Give every active schedule that lacks runs what it lacks; how many runs were made."""
        made, after = 0, None
        while True:
            now = self._clock.now()
            filled = now + self.limits.min_ahead
            hungry = await self._store.hungry(now, filled, self.limits.min_runs, after=after, limit=self._batch + 1)
            batch = hungry[: self._batch]
            made += await self._fill(batch, now, self.limits)
            if len(batch) == len(hungry):
                return made
            after = batch[-1]["schedule_id"]

    async def fill_one(self, deployment_id: UUID, start: datetime, limits: Limits) -> int:
        """Fill the active schedules of one deployment from `start` on, which may lie in the past."""
        return await self._fill(await self._store.schedules_of(deployment_id), start, limits)

    async def _fill(self, hungry: Sequence[Row], start: datetime, limits: Limits) -> int:
        if not hungry:
            return 0
        runs = await asyncio.to_thread(_runs_of_all, hungry, start, limits, self._clock.now())
        return await self._store.insert_planned(runs) if runs else 0


def _runs_of_all(hungry: Iterable[Row], start: datetime, limits: Limits, now: datetime) -> list[PlannedRun]:
    """One bad schedule, stored before it was refused, does not stop the others."""
    runs: list[PlannedRun] = []
    for row in hungry:
        try:
            runs.extend(_runs(row, start, limits, now))
        except (HeadwayError, ValueError, ArithmeticError) as error:
            logger.warning("Schedule %s of deployment %s is skipped: %s", row["schedule_id"], row["id"], error)
    return runs


def _runs(row: Row, start: datetime, limits: Limits, now: datetime) -> Iterable[PlannedRun]:
    schedule = schedule_of(row["schedule"])
    most = min(limits.max_runs, row["max_scheduled_runs"] or limits.max_runs)
    shared = _shared(row, schedule.kind, now)
    times = times_to_plan(
        schedule,
        start,
        min_runs=min(limits.min_runs, most),
        max_runs=most,
        min_ahead=limits.min_ahead,
        max_ahead=limits.max_ahead,
        planned=row.get("planned") or 0,
        last=row.get("last"),
    )
    for due in times:
        yield _run(row, shared, due, now)


def _shared(row: Row, kind: str, now: datetime) -> Row:
    """What all runs of a schedule have in common."""
    policy = Policy.of({name: row[name] for name in ("retries", "retry_delay", "retry_on_crash")})
    made_by = {"prefect.flow.id": str(row["flow_id"]), "prefect.deployment.id": str(row["id"])}
    return {
        "created": now,
        "updated": now,
        "flow_id": row["flow_id"],
        "deployment_id": row["id"],
        "deployment_version": row["version"],
        "schedule_id": row["schedule_id"],
        "work_pool_id": row["work_pool_id"],
        "work_queue_id": row["work_queue_id"],
        "work_queue_name": row["work_queue_name"],
        "parameters": {**row["parameters"], **row["schedule_parameters"]},
        "empirical_policy": policy.to_wire(),
        "tags": ["auto-scheduled", *row["tags"]],
        "labels": {**(row["labels"] or {}), **made_by},
        "infrastructure_document_id": row["infrastructure_document_id"],
        "auto_scheduled": True,
        "created_by": {"id": str(row["schedule_id"]), "type": "SCHEDULE", "display_value": row["slug"] or kind},
    }


def _run(row: Row, shared: Row, due: datetime, now: datetime) -> PlannedRun:
    id = new_id()
    state = states.Scheduled(due, message="Flow run scheduled", flow_run_id=id)
    values: dict[str, Any] = {
        **shared,
        "id": id,
        "name": new_name(),
        "idempotency_key": f"scheduled {row['id']} {row['schedule_id']} {due.astimezone(UTC)}",
        "state_id": state.id,
        "state_type": state.type.value,
        "state_name": state.name,
        "state_timestamp": now,
        "expected_start_time": due,
        "next_scheduled_start_time": due,
    }
    first = {
        "id": state.id,
        "flow_run_id": id,
        "type": state.type.value,
        "name": state.name,
        "timestamp": now,
        "message": state.message,
        "data": None,
        "state_details": dict(state.details),
        "attempt": None,
    }
    return PlannedRun(values, first)
