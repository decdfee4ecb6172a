"""Runs made from a deployment: by hand, in bulk, or for a span of its schedules."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import msgspec

from headway.core import states, templates
from headway.core.clock import Clock
from headway.core.errors import (
    Conflict,
    HeadwayError,
    Invalid,
    NotFound,
    OutdatedError,
    ParameterError,
    RequestError,
    TemplateError,
)
from headway.core.ids import new_id
from headway.core.parameters import check_parameters
from headway.core.rules.commands import CreateRun, Decision
from headway.core.rules.facts import Policy, Run
from headway.core.run_names import new_name
from headway.server.services.deployments import DeploymentService, hydrated
from headway.server.services.made_runs import made_run
from headway.server.services.planning import Limits, Planner
from headway.server.services.transitions import Transitions
from headway.server.services.work_pools import WorkPoolService
from headway.store.protocols import Deployments, Filters, Origin, Origins, Row
from headway.wire.deployments import DeploymentFlowRunCreate, FlowRunCreateResult, ScheduleDeployment
from headway.wire.flow_runs import FlowRun, FlowRunPolicy

__all__ = ["DeploymentRunService"]

_KEPT = 1000
"""Deployments whose origins are kept; the oldest go first."""
_FITS = 4
_TURN = 25
"""So many runs are prepared before the event loop gets its turn."""
_TRIES = 5


class Runs(Protocol):
    """Reading runs as the wire has them."""

    async def read(self, id: UUID) -> FlowRun: ...

    async def page(self, filters: Filters, sort: str | None, limit: int, offset: int) -> list[FlowRun]: ...


class DeploymentRunService:
    """CONTRACT §2.4, create_flow_run from deployment."""

    def __init__(
        self,
        deployments: DeploymentService,
        pools: WorkPoolService,
        transitions: Transitions,
        planner: Planner,
        runs: Runs,
        store: Deployments,
        origins: Origins,
        clock: Clock,
    ) -> None:
        self._deployments = deployments
        self._pools = pools
        self._transitions = transitions
        self._planner = planner
        self._runs = runs
        self._store = store
        self._origin_store = origins
        self._origins: dict[UUID, _Known] = {}
        self._clock = clock

    async def create(self, id: UUID, body: DeploymentFlowRunCreate) -> tuple[FlowRun, bool]:
        """The run and whether it is new: an idempotency key (or id) that is taken answers the old one."""
        command, decision = await self._create(id, body)
        assert decision.after is not None, "creating a run always leaves one"
        if decision.created is None:
            return await self._runs.read(decision.after.run.id), False
        return made_run(command, decision), True

    async def create_many(self, id: UUID, bodies: Sequence[DeploymentFlowRunCreate]) -> list[FlowRunCreateResult]:
        """One result per body; one that is refused does not stop the others."""
        results: list[FlowRunCreateResult | None] = [None] * len(bodies)
        origin = await self._origin(id)
        commands: list[tuple[int, CreateRun]] = []
        for index, body in enumerate(bodies):
            try:
                commands.append((index, await self._command(origin, body)))
            except HeadwayError as error:
                results[index] = _refused(error)
            if index % _TURN == _TURN - 1:
                await asyncio.sleep(0)
        outcomes = await self._transitions.submit_all(command for _, command in commands)
        for (index, _), outcome in zip(commands, outcomes, strict=True):
            results[index] = await self._result(id, bodies[index], outcome)
        return [result for result in results if result is not None]

    async def _result(
        self, id: UUID, body: DeploymentFlowRunCreate, outcome: Decision | HeadwayError
    ) -> FlowRunCreateResult:
        try:
            if isinstance(outcome, OutdatedError):  # the deployment was changed meanwhile
                self._origins.pop(id, None)
                _, outcome = await self._create(id, body)
            if isinstance(outcome, HeadwayError):
                raise outcome
        except HeadwayError as error:
            return _refused(error)
        assert outcome.after is not None
        return FlowRunCreateResult(status="CREATED", flow_run_id=outcome.after.run.id)

    async def _create(self, id: UUID, body: DeploymentFlowRunCreate) -> tuple[CreateRun, Decision]:
        for _ in range(_TRIES):
            origin = await self._origin(id)
            command = await self._command(origin, body)
            try:
                return command, await self._transitions.submit(command)
            except OutdatedError:  # the deployment or its pool was changed since it was read
                self._origins.pop(id, None)
        raise Conflict(f"Deployment {id} is being changed all the time. Try again.", code="Outdated")

    async def _origin(self, id: UUID) -> _Known:
        """What the deployment's runs are made from; kept, because the batch checks that it still holds."""
        known = self._origins.get(id)
        if known is None:
            found = await self._origin_store.of_deployment(id)
            if found is None:
                raise NotFound(f"Deployment {id} not found.")
            known = self._origins[id] = _Known(found)
            while len(self._origins) > _KEPT:
                del self._origins[next(iter(self._origins))]
        return known

    async def _command(self, known: _Known, body: DeploymentFlowRunCreate) -> CreateRun:
        deployment = known.origin.deployment
        parameters = known.parameters(body)
        known.check_job_variables(body)
        place = await self._place(deployment, body.work_queue_name)
        run = Run(
            id=body.id or new_id(),
            policy=_policy(deployment, body.empirical_policy),
            flow_id=deployment["flow_id"],
            deployment_id=deployment["id"],
            work_pool_id=place["work_pool_id"],
            work_queue_id=place["work_queue_id"],
            parent_task_run_id=body.parent_task_run_id,
        )
        row = {
            "name": body.name or new_name(),
            "deployment_version": deployment["version"],
            "work_queue_name": place["work_queue_name"],
            "work_pool_name": deployment["work_pool_name"],
            "parameters": parameters,
            "idempotency_key": body.idempotency_key,
            "context": body.context,
            "tags": list(dict.fromkeys([*deployment["tags"], *body.tags])),
            "labels": run_labels(deployment, body.labels),
            "infrastructure_document_id": body.infrastructure_document_id or deployment["infrastructure_document_id"],
            "job_variables": body.job_variables or {},
            "created_by": None,
            "auto_scheduled": False,
        }
        state = states.Scheduled(self._clock.now()) if body.state is None else body.state.proposed()
        return CreateRun(run, state, row, based_on=known.origin.basis)

    async def _place(self, deployment: Row, queue_name: str | None) -> Row:
        if queue_name is None or queue_name == deployment["work_queue_name"]:
            return deployment
        if deployment["work_pool_name"] is None:
            raise RequestError(
                f"Deployment '{deployment['name']}' has no work pool, so its run cannot go to queue '{queue_name}'. "
                "Leave work_queue_name out, or deploy to a pool."
            )
        pool = await self._pools.row(deployment["work_pool_name"])
        queue = await self._deployments.queue(pool, queue_name)
        return {"work_pool_id": pool["id"], "work_queue_id": queue["id"], "work_queue_name": queue["name"]}

    async def due(self, deployment_ids: Sequence[UUID], before: datetime | None, limit: int) -> list[FlowRun]:
        """What `serve` polls: the runs of these deployments that may be started, earliest first."""
        now = self._clock.now()
        ids = await self._store.due(deployment_ids, before or now, limit)
        await self._store.polled(deployment_ids, now)
        found = await self._runs.page({"flow_runs": {"id": {"any_": ids}}}, None, limit, 0) if ids else []
        return sorted(found, key=lambda run: ids.index(run.id))

    async def schedule(self, id: UUID, body: ScheduleDeployment) -> int:
        """Make the runs of a span of the deployment's schedules now; how many were new."""
        await self._deployments.row(id)
        defaults = self._planner.limits
        start = body.start_time or self._clock.now()
        ahead = timedelta(seconds=body.min_time) if body.min_time is not None else defaults.min_ahead
        limits = Limits(
            min_runs=body.min_runs or defaults.min_runs,
            max_runs=body.max_runs or defaults.max_runs,
            min_ahead=ahead,
            max_ahead=body.end_time - start if body.end_time is not None else defaults.max_ahead,
        )
        return await self._planner.fill_one(id, start, limits)


def _refused(error: HeadwayError) -> FlowRunCreateResult:
    return FlowRunCreateResult(status="FAILED", error=error.message)


def run_labels(deployment: Row, labels: Mapping[str, Any] | None) -> dict[str, Any]:
    """A run's labels: its deployment's, who made it, its own."""
    made_by = {"prefect.flow.id": str(deployment["flow_id"]), "prefect.deployment.id": str(deployment["id"])}
    return {**(deployment["labels"] or {}), **made_by, **(labels or {})}


class _Known:
    """An origin, and what was found out about it: most runs of a deployment ask for the same."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self._fits: list[dict[str, Any]] = []
        self._variables_fit = False

    def parameters(self, body: DeploymentFlowRunCreate) -> dict[str, Any]:
        """The run's parameters, filled in and, unless it is switched off, checked."""
        deployment = self.origin.deployment
        parameters = hydrated({**deployment["parameters"], **body.parameters}, "hydrating flow run parameters")
        enforce = body.enforce_parameter_schema
        if not (deployment["enforce_parameter_schema"] if enforce is None else enforce) or parameters in self._fits:
            return parameters
        try:
            check_parameters(parameters, deployment["parameter_openapi_schema"])
        except ParameterError as error:
            raise Conflict(f"Error creating flow run: {error.message}", code="ParametersInvalid") from error
        self._fits = [parameters, *self._fits[: _FITS - 1]]
        return parameters

    def check_job_variables(self, body: DeploymentFlowRunCreate) -> None:
        """Raise Invalid for job variables that the pool's template does not allow."""
        template = self.origin.template
        if template is None or (self._variables_fit and not body.job_variables):
            return
        layers = (self.origin.deployment["job_variables"], body.job_variables)
        try:
            templates.check_job_variables(template, *layers, required=True)
        except TemplateError as error:
            raise Invalid(error.message, loc=("body", *error.loc)) from error
        self._variables_fit = self._variables_fit or not body.job_variables


def _policy(deployment: Row, asked: FlowRunPolicy) -> Policy:
    """The run's own retries if it says any, else its deployment's (DESIGN §3, "Deploying copies …")."""
    own = msgspec.to_builtins(asked)
    for name in ("retries", "retry_delay", "retry_on_crash"):
        if own.get(name) is None:
            own[name] = deployment[name]
    return Policy.of(own)
