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
from headway.core.schedules import Schedule, times_to_plan
from headway.core.settings import SchedulerSettings
from headway.server.services.schedules import schedule_of
from headway.store.protocols import Plan, PlannedRun, Row, Scheduling

__all__ = ["Limits", "Planner"]

logger = logging.getLogger("headway.server.scheduler")

_TOGETHER = 25
_RUNS_PER_WRITE = 100
"""A write of so many runs takes about as long as people's own; each of them waits for one at most."""
_MOMENT = timedelta(microseconds=1)


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
        made, seen = 0, set[UUID]()
        while True:
            now = self._clock.now()
            due = await self._store.due(now, self._batch)
            news = [row for row in due if row["schedule_id"] not in seen]
            made += await self._fill(news, now, self.limits, keeps=True)
            seen.update(row["schedule_id"] for row in news)
            if len(due) < self._batch or not news:
                return made

    async def fill_one(self, deployment_id: UUID, start: datetime, limits: Limits) -> int:
        """Fill the active schedules of one deployment from `start` on, which may lie in the past."""
        return await self._fill(await self._store.schedules_of(deployment_id), start, limits, keeps=False)

    async def _fill(self, schedules: Sequence[Row], start: datetime, limits: Limits, *, keeps: bool) -> int:
        """Plan and write some schedules after the other, so that nobody waits long for either."""
        made, now = 0, self._clock.now()
        planning = _Planning(start, limits, now, keeps)
        waiting: list[Plan] = []
        for some in (schedules[at : at + _TOGETHER] for at in range(0, len(schedules), _TOGETHER)):
            waiting += await asyncio.to_thread(planning.plans, some)
            while sum(len(plan.runs) for plan in waiting) >= _RUNS_PER_WRITE:
                now_written, waiting = _first(waiting)
                made += await self._store.insert_planned(now_written, now)
        return made + (await self._store.insert_planned(waiting, now) if waiting else 0)


def _first(plans: Sequence[Plan]) -> tuple[list[Plan], list[Plan]]:
    """The plans for one write, and the others."""
    runs = 0
    for number, plan in enumerate(plans, 1):
        runs += len(plan.runs)
        if runs >= _RUNS_PER_WRITE:
            return list(plans[:number]), list(plans[number:])
    return list(plans), []


class _Planning:
    """One pass. Schedules that say the same are worked out once."""

    def __init__(self, start: datetime, limits: Limits, now: datetime, keeps: bool) -> None:
        self._start = start
        self._limits = limits
        self._now = now
        self._keeps = keeps
        self._known: dict[Any, list[datetime]] = {}

    def plans(self, schedules: Iterable[Row]) -> list[Plan]:
        return [plan for row in schedules if (plan := self._plan(row)) is not None]

    def _plan(self, row: Row) -> Plan | None:
        """One bad schedule, stored before it was refused, does not stop the others."""
        try:
            schedule = schedule_of(row["schedule"])
            times = self._times(schedule, row)
        except (HeadwayError, ValueError, ArithmeticError) as error:
            logger.warning("Schedule %s of deployment %s is skipped: %s", row["schedule_id"], row["id"], error)
            schedule, times = Schedule(), []
        if not self._keeps:
            return Plan(row["schedule_id"], _shared(row, schedule.kind), _runs(row, times)) if times else None
        return Plan(
            schedule_id=row["schedule_id"],
            shared=_shared(row, schedule.kind),
            runs=_runs(row, times),
            look_at=self._look_at(row, times),
            seen_look_at=row["look_at"],
            seen_updated=row["updated"],
        )

    def _most(self, row: Row) -> int:
        return min(self._limits.max_runs, row["max_scheduled_runs"] or self._limits.max_runs)

    def _times(self, schedule: Schedule, row: Row) -> list[datetime]:
        most, planned, last = self._most(row), row.get("planned") or 0, row.get("last")
        key = (schedule, most, planned, last)
        if key not in self._known:
            self._known[key] = times_to_plan(
                schedule,
                self._start,
                min_runs=min(self._limits.min_runs, most),
                max_runs=most,
                min_ahead=self._limits.min_ahead,
                max_ahead=self._limits.max_ahead,
                planned=planned,
                last=last,
            )
        return self._known[key]

    def _look_at(self, row: Row, times: Sequence[datetime]) -> datetime:
        """When the schedule lacks runs again: when one of the last few has passed, or less than the time ahead is
        filled. No later than once in that time, because people cancel and delete runs."""
        most, planned = self._most(row), row.get("planned") or 0
        least, runs = min(self._limits.min_runs, most), planned + len(times)
        latest = self._now + self._limits.min_ahead
        last = times[-1] if times else row.get("last")
        if runs < least or last is None:  # there are no more, or none near enough
            return latest
        passing = times[-least] if len(times) >= least else row["first"]
        looks = [latest, passing + _MOMENT]
        if runs < most:
            looks.append(last - self._limits.min_ahead + _MOMENT)
        return max(self._now + _MOMENT, min(looks))


def _shared(row: Row, kind: str) -> Row:
    """What all runs of a schedule have in common."""
    policy = Policy.of({name: row[name] for name in ("retries", "retry_delay", "retry_on_crash")})
    made_by = {"prefect.flow.id": str(row["flow_id"]), "prefect.deployment.id": str(row["id"])}
    return {
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


def _runs(row: Row, times: Iterable[datetime]) -> list[PlannedRun]:
    key = f"scheduled {row['id']} {row['schedule_id']}"
    return [_run(due, f"{key} {due.astimezone(UTC)}") for due in times]


def _run(due: datetime, key: str) -> PlannedRun:
    id = new_id()
    return PlannedRun(id, new_name(), due, key, states.Scheduled(due, message="Flow run scheduled", flow_run_id=id))
