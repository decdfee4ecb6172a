"""Deployments: a flow with everything that its runs start with, checked when it is made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

import msgspec

from headway.core import templates
from headway.core.clock import Clock
from headway.core.errors import Conflict, Invalid, NotFound, ParameterError, RequestError, TemplateError
from headway.core.ids import new_id
from headway.core.nearest import suggestion
from headway.core.parameters import check_parameters, hydrate, variables_named
from headway.core.states import StateType
from headway.server.services.schedules import changes_of, planned_changes, rows_of
from headway.server.services.shaping import shaped
from headway.server.services.work_pools import Canceller, WorkPoolService
from headway.server.services.work_queues import WorkQueueService
from headway.store.protocols import Deployments, Filters, Row, SchedulePlan, WorkQueues
from headway.wire.base import given
from headway.wire.deployments import (
    Deployment,
    DeploymentCreate,
    DeploymentSchedule,
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
    DeploymentUpdate,
    GlobalConcurrencyLimit,
)
from headway.wire.work_queues import WorkQueue, WorkQueueCreate

ENGINE = "engine"
_CANCEL_CHECKS = 75
_CANCEL_PAUSE = 0.2
_NOWHERE: Row = {"work_pool_id": None, "work_queue_id": None, "work_queue_name": None}


class Listener(Protocol):
    """Who wants to know at once that a deployment or schedule was written: the scheduler."""

    def wake(self) -> None: ...


class DeploymentService:
    """Create or change by name, read, change, delete, filter; their schedules and their pauses."""

    def __init__(
        self,
        store: Deployments,
        queues: WorkQueues,
        pool_service: WorkPoolService,
        queue_service: WorkQueueService,
        clock: Clock,
        *,
        scheduler: Listener | None = None,
        canceller: Canceller | None = None,
    ) -> None:
        self._store = store
        self._queues = queues
        self._pool_service = pool_service
        self._queue_service = queue_service
        self._clock = clock
        self._scheduler = scheduler
        self._canceller = canceller

    # --- making and changing ---

    async def create(self, body: DeploymentCreate, engine: str | None = None) -> tuple[Deployment, bool]:
        """The deployment and whether it is new; one of that flow and name is changed. `engine`: who made it."""
        if not body.name or "/" in body.name:
            raise Invalid(f"A deployment's name is not empty and has no '/'; got '{body.name}'.", ("body", "name"))
        _check_limit_choice(body.global_concurrency_limit_id)
        now = self._clock.now()
        schedules = rows_of(body.schedules, now, ("body", "schedules"))
        _check_parameters_of(body)
        place = await self._place(body.work_pool_name, body.work_queue_name)
        job_variables = dict(body.job_variables)
        await self._check_job_variables(body.work_pool_name, job_variables)
        if engine is not None and body.work_pool_name is not None:
            job_variables.setdefault(ENGINE, engine)
        values = {
            **_columns(body),
            **place,
            "id": new_id(),
            "created": now,
            "updated": now,
            "job_variables": job_variables,
            "status": "NOT_READY",
        }
        row, is_new = await self._store.save(values, schedules)
        self._written()
        return _wire(row), is_new

    async def update(self, id: UUID, body: DeploymentUpdate) -> None:
        before = await self.row(id)
        changes = given(body)
        _check_limit_choice(changes.pop("global_concurrency_limit_id", None))
        changes.pop("version_info", None)
        now = self._clock.now()
        plan = SchedulePlan()
        if (wanted := changes.pop("schedules", None)) is not None:
            plan = planned_changes(before["schedules"], wanted, now)
        if {"work_pool_name", "work_queue_name"} & changes.keys():
            changes.update(await self._new_place(before, changes))
        pool_name = changes.pop("work_pool_name", before["work_pool_name"])
        for name in ("job_variables", "parameters", "tags", "enforce_parameter_schema"):
            if changes.get(name, ...) is None:
                del changes[name]
        if "job_variables" in changes or pool_name != before["work_pool_name"]:
            await self._check_job_variables(pool_name, {**before, **changes}["job_variables"])
        if "concurrency_options" in changes:
            changes["concurrency_options"] = msgspec.to_builtins(changes["concurrency_options"])
        self._check_new_parameters(before, changes)
        await self._store.change(id, {**changes, "updated": now}, plan)
        self._written()

    def _check_new_parameters(self, before: Row, changes: dict[str, Any]) -> None:
        after = {**before, **changes}
        if "parameters" in changes:
            after["parameters"] = changes["parameters"] = hydrated(changes["parameters"], "updating deployment")
        if not after["enforce_parameter_schema"]:
            return
        if not {"parameters", "parameter_openapi_schema", "enforce_parameter_schema"} & changes.keys():
            return
        try:
            check_parameters(after["parameters"], after["parameter_openapi_schema"], required=False)
        except ParameterError as error:
            raise Conflict(f"Error updating deployment: {error.message}") from error

    async def _place(self, pool_name: str | None, queue_name: str | None) -> Row:
        """Pool and queue by name; the queue is made if the pool does not have it."""
        if pool_name is None:
            return dict(_NOWHERE) if queue_name is None else await self._place_of_agents(queue_name)
        if (place := await self._queues.place(pool_name, queue_name)) is not None:
            return place
        pool = await self._pool_service.row(pool_name)
        if queue_name is None:
            queue = await self._queues.get(pool["default_queue_id"])
            assert queue is not None, "every pool has its default queue"
        else:
            queue = await self.queue(pool, queue_name)
        return {"work_pool_id": pool["id"], "work_queue_id": queue["id"], "work_queue_name": queue["name"]}

    async def queue(self, pool: Row, name: str) -> Row:
        """The pool's queue of that name, made if it is missing."""
        found = await self._queues.find(work_pool_id=pool["id"], name=name)
        if found is None:
            with contextlib.suppress(Conflict):  # somebody else made it meanwhile
                await self._queue_service.create(pool["name"], WorkQueueCreate(name=name))
            found = await self._queues.find(work_pool_id=pool["id"], name=name)
        if found is None:
            raise NotFound(f"Work queue '{pool['name']}/{name}' not found.")
        return found

    async def _place_of_agents(self, queue_name: str) -> Row:
        """A queue without a pool is one of the agents' pool, as in the reference."""
        try:
            made = await self._queue_service.create_in_agent_pool(WorkQueueCreate(name=queue_name))
        except Conflict:
            made = await self._queue_service.read_by_name(queue_name)
        queue = await self._queues.get(made.id)
        assert queue is not None, "the queue was there a moment ago"
        return {"work_pool_id": queue["work_pool_id"], "work_queue_id": queue["id"], "work_queue_name": queue["name"]}

    async def _new_place(self, before: Row, changes: dict[str, Any]) -> Row:
        queue = changes.pop("work_queue_name", None)
        if "work_pool_name" not in changes:
            return await self._place(before["work_pool_name"], queue)
        pool = changes["work_pool_name"]
        return dict(_NOWHERE) if pool is None else await self._place(pool, queue)

    async def _check_job_variables(self, pool_name: str | None, job_variables: Mapping[str, Any]) -> None:
        if pool_name is None or not job_variables:
            return
        pool = await self._pool_service.row(pool_name)
        try:
            templates.check_job_variables(pool["base_job_template"], job_variables)
        except TemplateError as error:
            raise Invalid(error.message, loc=("body", *error.loc)) from error

    def _written(self) -> None:
        if self._scheduler is not None:
            self._scheduler.wake()

    # --- reading ---

    async def row(self, id: UUID) -> Row:
        found = await self._store.get(id)
        if found is None:
            raise NotFound(f"Deployment {id} not found.")
        return found

    async def read(self, id: UUID) -> Deployment:
        return _wire(await self.row(id))

    async def read_by_name(self, flow_name: str, name: str) -> Deployment:
        found = await self._store.by_name(flow_name, name)
        if found is None:
            full = f"{flow_name}/{name}"
            hint = suggestion(full, await self._store.names(), "There are no deployments yet.")
            raise NotFound(f"Deployment '{full}' not found.{hint}")
        return _wire(found)

    async def page(self, filters: Filters, sort: str | None, limit: int, offset: int) -> list[Deployment]:
        return [_wire(row) for row in await self._store.page(filters, sort=sort, limit=limit, offset=offset)]

    async def count(self, filters: Filters) -> int:
        return await self._store.count(filters)

    async def work_queues(self, id: UUID) -> list[WorkQueue]:
        """The queues that can pick its runs up: its own, if it has one."""
        row = await self.row(id)
        return [] if row["work_queue_id"] is None else [await self._queue_service.read_by_id(row["work_queue_id"])]

    # --- pausing, schedules ---

    async def set_paused(self, id: UUID, paused: bool) -> None:
        """Pausing forgets the runs planned ahead; resuming plans them at once."""
        if not await self._store.set_paused(id, paused, self._clock.now()):
            raise NotFound(f"Deployment {id} not found.")
        self._written()

    async def schedules(self, id: UUID) -> list[DeploymentSchedule]:
        return _wire(await self.row(id)).schedules

    async def add_schedules(self, id: UUID, body: Sequence[DeploymentScheduleCreate]) -> list[DeploymentSchedule]:
        row = await self.row(id)
        now = self._clock.now()
        made = rows_of(body, now)
        taken = {one["slug"] for one in row["schedules"]} & {one["slug"] for one in made if one["slug"]}
        if taken:
            raise Conflict(f"A schedule with the slug '{min(taken)}' exists; slugs are unique within a deployment.")
        await self._store.change(id, {"updated": now}, SchedulePlan(created=made))
        self._written()
        return [shaped(DeploymentSchedule, {**one, "deployment_id": id}) for one in made]

    async def change_schedule(self, id: UUID, schedule_id: UUID, body: DeploymentScheduleUpdate) -> None:
        now = self._clock.now()
        await self.row(id)
        if not await self._store.change_schedule(id, schedule_id, changes_of(body, now), now):
            raise NotFound(f"Schedule {schedule_id} not found.")
        self._written()

    async def drop_schedule(self, id: UUID, schedule_id: UUID) -> None:
        await self.row(id)
        if not await self._store.drop_schedule(id, schedule_id):
            raise NotFound(f"Schedule {schedule_id} not found.")
        self._written()

    # --- deleting ---

    async def delete(self, id: UUID, *, force: bool = False) -> None:
        """Refused while runs wait or run, unless `force`: then they are cancelled first."""
        row = await self.row(id)
        living = await self._store.remove(id, self._clock.now())
        if living and force and self._canceller is not None:
            await self._cancel(row, self._canceller, living)
            living = await self._store.remove(id, self._clock.now())
        if living:
            waiting = sum(type == StateType.SCHEDULED for _, type in living)
            raise Conflict(
                f"Deployment '{row['name']}' has {waiting} waiting and {len(living) - waiting} running runs. Wait for "
                "them, cancel them, or delete with force (--force), which cancels them first.",
                code="DeploymentInUse",
            )

    async def _cancel(self, row: Row, canceller: Canceller, living: Sequence[tuple[UUID, str]]) -> None:
        message = f"Deployment '{row['name']}' was deleted."
        for run_id, _ in living:
            await canceller.cancel(run_id, message, force=False)
        for _ in range(_CANCEL_CHECKS):  # workers get the time to stop what runs
            if not await self._store.live_runs(row["id"]):
                return
            await asyncio.sleep(_CANCEL_PAUSE)
        for run_id, _ in await self._store.live_runs(row["id"]):
            await canceller.cancel(run_id, message, force=True)

    async def delete_many(self, filters: Filters, limit: int) -> list[UUID]:
        """Delete those that match and have no waiting or running runs, at most `limit`; returns their ids."""
        now = self._clock.now()
        found = await self._store.page(filters, limit=limit)
        return [row["id"] for row in found if not await self._store.remove(row["id"], now)]


def _columns(body: DeploymentCreate) -> Row:
    """The columns that a body sets as it is."""
    kept = (
        "name", "flow_id", "paused", "version", "description", "concurrency_limit", "parameters",
        "parameter_openapi_schema", "enforce_parameter_schema", "path", "entrypoint",
        "storage_document_id", "infrastructure_document_id", "retries", "retry_delay", "retry_on_crash",
    )  # fmt: skip
    return {
        **{name: getattr(body, name) for name in kept},
        "concurrency_options": msgspec.to_builtins(body.concurrency_options),
        "pull_steps": body.pull_steps or [],
        "tags": list(dict.fromkeys(body.tags)),
        "labels": {"prefect.flow.id": str(body.flow_id), **(body.labels or {})},
        "last_polled": None,
        "created_by": None,
        "updated_by": None,
    }


def _check_parameters_of(body: DeploymentCreate) -> None:
    """What is given must fit; what a workspace variable will say is only known when a run is made."""
    try:
        fixed = {name: value for name, value in body.parameters.items() if not variables_named(value)}
        ready = hydrate(fixed)
        if body.enforce_parameter_schema:
            check_parameters(ready, body.parameter_openapi_schema, required=False)
            for schedule in body.schedules:
                check_parameters({**ready, **schedule.parameters}, body.parameter_openapi_schema, required=False)
    except ParameterError as error:
        raise Invalid(error.message, loc=("body", *error.loc)) from error


def hydrated(parameters: Mapping[str, Any], doing: str) -> dict[str, Any]:
    """Parameters with their `__prefect_kind` objects replaced; what cannot be replaced is answered with 400."""
    try:
        return hydrate(parameters)
    except ParameterError as error:
        raise RequestError(f"Error {doing}: {error.message}") from error


def _check_limit_choice(global_limit_id: UUID | None) -> None:
    if global_limit_id is not None:
        raise NotFound(f"Concurrency limit {global_limit_id} not found. Give the deployment's own concurrency_limit.")


def _wire(row: Row) -> Deployment:
    limit = None
    if row["concurrency_limit"] is not None:
        limit = GlobalConcurrencyLimit(
            id=row["id"],
            created=row["created"],
            updated=row["updated"],
            name=f"deployment:{row['id']}",
            limit=row["concurrency_limit"],
            active_slots=row["active_slots"],
        )
    schedules = [shaped(DeploymentSchedule, one) for one in row["schedules"]]
    return shaped(Deployment, row, schedules=schedules, global_concurrency_limit=limit)
