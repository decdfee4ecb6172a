"""Flow runs: making, reading, changing what is not their state, deleting, counting (CONTRACT §1.3, §2.4)."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from headway.core.clock import Clock
from headway.core.errors import NotFound, RequestError
from headway.core.ids import new_id
from headway.core.rules.commands import CreateRun
from headway.core.rules.facts import Caller, Policy, Run
from headway.core.run_names import new_name
from headway.core.states import Pending, StateType
from headway.core.templates import check_job_variables
from headway.server.services.estimates import estimates
from headway.server.services.made_runs import made_run
from headway.server.services.run_history import history
from headway.server.services.run_pages import encode_runs
from headway.server.services.shaping import shaped
from headway.server.services.transitions import Transitions
from headway.store.protocols import Filters, FlowRuns, Logs, Row, RunTimes
from headway.wire.base import Labels, given
from headway.wire.flow_runs import FlowRun, FlowRunCreate, FlowRunHistory, FlowRunUpdate, HistoryInterval

__all__ = ["FlowRunService"]

_WAITING = (StateType.SCHEDULED, StateType.PENDING)
"""A run that is made in one of these has nothing yet but what its maker said; it need not be read back."""
_NEVER_NULL = ("name", "parameters", "empirical_policy", "tags", "job_variables")


class FlowRunService:
    """Everything about flow runs that is not a change of state."""

    def __init__(self, store: FlowRuns, times: RunTimes, logs: Logs, transitions: Transitions, clock: Clock) -> None:
        self._store = store
        self._times = times
        self._logs = logs
        self._transitions = transitions
        self._clock = clock

    async def create(self, body: FlowRunCreate, caller: Caller) -> tuple[FlowRun, bool]:
        """The run and whether this call made it; without a state it is PENDING.

        Raises NotFound for a flow, pool or queue that does not exist, TemplateError for job variables that the
        pool's template does not allow.
        """
        origin = await self._store.origin(body.flow_id, body.work_pool_name, body.work_queue_name)
        _check_origin(body, origin)
        state = Pending() if body.state is None else body.state.proposed()
        columns = {**_columns(body, origin), "work_pool_name": body.work_pool_name}
        command = CreateRun(_run(body, origin), state, columns, caller)
        decision = await self._transitions.submit(command)
        assert decision.after is not None
        run = decision.after.run
        if decision.created is not None and run.state is not None and run.state.type in _WAITING:
            return made_run(command, decision), True
        return await self.read(run.id), decision.created is not None

    async def read(self, id: UUID) -> FlowRun:
        row = await self._store.get(id)
        if row is None:
            raise _missing(id)
        return self._wire(row)

    async def update(self, id: UUID, body: FlowRunUpdate) -> None:
        """Change the fields that are given. Job variables can be changed while the run waits, not later (400)."""
        changes = {name: value for name, value in given(body).items() if value is not None or name not in _NEVER_NULL}
        if "job_variables" in changes:
            await self._check_job_variables(id, changes["job_variables"])
        plain = msgspec.to_builtins(changes)
        if not await self._store.update(id, {**plain, "updated": self._clock.now()}):
            raise _missing(id)

    async def _check_job_variables(self, id: UUID, variables: dict[str, Any]) -> None:
        around = await self._store.surroundings(id)
        if around is None:
            raise _missing(id)
        state = around["run"]["state_type"]
        if state != StateType.SCHEDULED:
            raise RequestError(f"Job variables for a flow run in state {state} cannot be updated")
        if around["deployment"] is None:
            raise RequestError("A deployment for the flow run could not be found")
        if around["work_pool"] is not None:
            check_job_variables(around["work_pool"]["base_job_template"], variables)

    async def label(self, id: UUID, labels: Labels) -> None:
        """Add or replace labels; the others stay."""
        if not await self._store.merge_labels(id, dict(labels), {"updated": self._clock.now()}):
            raise _missing(id)

    async def delete(self, id: UUID) -> None:
        """The run, its states, its task runs and its logs."""
        if not await self._store.delete(id):
            raise _missing(id)
        await self._logs.drop_runs([id])

    async def delete_many(self, filters: Filters, limit: int | None) -> list[UUID]:
        deleted = await self._store.delete_many(filters, limit)
        if deleted:
            await self._logs.drop_runs(deleted)
        return deleted

    async def page(self, filters: Filters, sort: str | None, limit: int, offset: int) -> list[FlowRun]:
        return [self._wire(row) for row in await self._store.page(filters, sort=sort, limit=limit, offset=offset)]

    async def encoded_page(self, filters: Filters, sort: str | None, limit: int, offset: int) -> msgspec.Raw:
        """A JSON array of `FlowRun`s, encoded already."""
        shape = partial(encode_runs, now=self._clock.now())
        return await self._store.raw_page(shape, filters, sort=sort, limit=limit, offset=offset)

    async def encoded_page_and_count(
        self, filters: Filters, sort: str | None, limit: int, offset: int
    ) -> tuple[msgspec.Raw, int]:
        """The same, and how many there are in all."""
        shape = partial(encode_runs, now=self._clock.now())
        return await self._store.raw_page_and_count(shape, filters, sort=sort, limit=limit, offset=offset)

    async def ids(self, filters: Filters, limit: int) -> list[UUID]:
        """The runs that pass, at most `limit`."""
        return await self._store.ids(filters, limit)

    async def count(self, filters: Filters) -> int:
        return await self._store.count(filters)

    async def history(self, body: FlowRunHistory) -> list[HistoryInterval]:
        return await history(self._times, body, self._clock.now())

    async def lateness(self, filters: Filters) -> float | None:
        """Mean seconds between when runs were due and when they started, or now; None without runs."""
        return await self._times.lateness(filters, self._clock.now())

    def _wire(self, row: Row) -> FlowRun:
        return shaped(FlowRun, row, **estimates(row, self._clock.now()))


def _missing(id: UUID) -> NotFound:
    return NotFound(f"Flow run {id} not found.")


def _check_origin(body: FlowRunCreate, origin: Row) -> None:
    pool = origin["work_pool"]
    if origin["flow"] is None:
        raise NotFound(f"Flow {body.flow_id} not found.")
    if body.work_pool_name is not None and pool is None:
        raise NotFound(f"Work pool '{body.work_pool_name}' not found.")
    if body.work_pool_name is not None and origin["work_queue"] is None:
        raise NotFound(f"Work queue '{body.work_queue_name}' not found in work pool '{body.work_pool_name}'.")
    if pool is not None and body.job_variables:
        check_job_variables(pool["base_job_template"], body.job_variables)


def _run(body: FlowRunCreate, origin: Row) -> Run:
    pool, queue = origin["work_pool"], origin["work_queue"]
    return Run(
        id=body.id or new_id(),
        policy=Policy.of(msgspec.to_builtins(body.empirical_policy)),
        flow_id=body.flow_id,
        deployment_id=body.deployment_id,
        work_pool_id=None if pool is None else pool["id"],
        work_queue_id=None if queue is None else queue["id"],
        parent_task_run_id=body.parent_task_run_id,
    )


def _columns(body: FlowRunCreate, origin: Row) -> dict[str, Any]:
    """What rules do not look at; labels of the flow are handed down to its runs (as the reference does)."""
    queue = origin["work_queue"]
    return {
        "name": body.name or new_name(),
        "work_queue_name": body.work_queue_name if queue is None else queue["name"],
        "flow_version": body.flow_version,
        "parameters": body.parameters,
        "idempotency_key": body.idempotency_key,
        "context": body.context,
        "tags": body.tags,
        "labels": {**origin["flow"]["labels"], "prefect.flow.id": str(body.flow_id), **(body.labels or {})},
        "infrastructure_document_id": body.infrastructure_document_id,
        "job_variables": body.job_variables or {},
    }
