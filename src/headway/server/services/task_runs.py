"""Task runs over REST. Ordinary ones are recorded from events (services/events.py); made here are the parents of
subflows and those that wait for a task worker."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from headway.core.clock import Clock
from headway.core.errors import NotFound
from headway.core.ids import new_id
from headway.core.rules.facts import Policy
from headway.core.rules.facts import TaskRun as TaskRunFacts
from headway.core.rules.transforms import enter
from headway.core.states import Pending, State
from headway.server.services.estimates import estimates
from headway.server.services.run_history import history
from headway.server.services.shaping import shaped
from headway.store.protocols import Filters, Row, RunTimes, TaskRuns
from headway.wire.base import given
from headway.wire.flow_runs import FlowRunHistory, HistoryInterval
from headway.wire.task_runs import PagedTaskRun, TaskRun, TaskRunCreate, TaskRunUpdate

__all__ = ["TaskRunService"]


class TaskRunService:
    """Everything about task runs that is not a change of state."""

    def __init__(self, store: TaskRuns, times: RunTimes, clock: Clock) -> None:
        self._store = store
        self._times = times
        self._clock = clock

    async def create(self, body: TaskRunCreate) -> tuple[TaskRun, bool]:
        """The task run of that flow run and key, and whether this call made it; without a state it is PENDING."""
        proposed = Pending() if body.state is None else body.state.proposed()
        now = self._clock.now()
        if proposed.is_scheduled and proposed.scheduled_time is None:
            proposed = proposed.with_details(scheduled_time=now)
        bare = TaskRunFacts(
            id=body.id or new_id(),
            flow_run_id=body.flow_run_id,
            policy=Policy.of(msgspec.to_builtins(body.empirical_policy)),
            tags=tuple(body.tags),
        )
        run, state = enter(bare, replace(proposed, timestamp=now))
        row, is_new = await self._store.create({**_columns(body, now), **_entered(run, state)}, state.to_row())
        return self._wire(row), is_new

    async def read(self, id: UUID) -> TaskRun:
        row = await self._store.get(id)
        if row is None:
            raise _missing(id)
        return self._wire(row)

    async def update(self, id: UUID, body: TaskRunUpdate) -> None:
        changes = {name: value for name, value in given(body).items() if value is not None}
        if not await self._store.update(id, {**changes, "updated": self._clock.now()}):
            raise _missing(id)

    async def delete(self, id: UUID) -> None:
        if not await self._store.delete(id):
            raise _missing(id)

    async def page(self, filters: Filters, sort: str | None, limit: int, offset: int) -> list[TaskRun]:
        return [self._wire(row) for row in await self._store.page(filters, sort=sort, limit=limit, offset=offset)]

    async def paged(self, filters: Filters, sort: str | None, limit: int, offset: int) -> list[PagedTaskRun]:
        """As /paginate shows them."""
        now = self._clock.now()
        found = await self._store.page(filters, sort=sort, limit=limit, offset=offset)
        return [shaped(PagedTaskRun, row, **estimates(row, now)) for row in found]

    async def count(self, filters: Filters) -> int:
        return await self._store.count(filters)

    async def history(self, body: FlowRunHistory) -> list[HistoryInterval]:
        return await history(self._times, body, self._clock.now())

    def _wire(self, row: Row) -> TaskRun:
        return shaped(TaskRun, row, **estimates(row, self._clock.now()))


def _missing(id: UUID) -> NotFound:
    return NotFound(f"Task run {id} not found.")


def _columns(body: TaskRunCreate, now: datetime) -> dict[str, Any]:
    return {
        "created": now,
        "updated": now,
        "name": body.name or f"{body.task_key.rsplit('.', 1)[-1]}-{body.dynamic_key}",
        "flow_run_id": body.flow_run_id,
        "task_key": body.task_key,
        "dynamic_key": body.dynamic_key,
        "cache_key": body.cache_key,
        "cache_expiration": body.cache_expiration,
        "task_version": body.task_version,
        "empirical_policy": msgspec.to_builtins(body.empirical_policy),
        "tags": body.tags,
        "labels": body.labels or {},
        "task_inputs": msgspec.to_builtins(body.task_inputs),
    }


def _entered(run: TaskRunFacts, state: State) -> dict[str, Any]:
    """The columns that a first state sets."""
    return {
        "id": run.id,
        "state_id": state.id,
        "state_type": state.type.value,
        "state_name": state.name,
        "state_timestamp": state.timestamp,
        "run_count": run.run_count,
        "flow_run_run_count": run.flow_run_run_count,
        "attempt": None,
        "expected_start_time": run.expected_start_time,
        "next_scheduled_start_time": run.next_scheduled_start_time,
        "start_time": run.start_time,
        "end_time": run.end_time,
        "total_run_time": run.total_run_time,
    }
