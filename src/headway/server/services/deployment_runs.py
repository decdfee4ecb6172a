"""Runs made from a deployment: by hand, in bulk, or for a span of its schedules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import msgspec

from headway.core import states, templates
from headway.core.clock import Clock
from headway.core.errors import Conflict, HeadwayError, Invalid, ParameterError, RequestError, TemplateError
from headway.core.ids import new_id
from headway.core.parameters import check_parameters
from headway.core.rules.facts import Policy, Run
from headway.core.run_names import new_name
from headway.server.services.deployments import DeploymentService, hydrated
from headway.server.services.planning import Limits, Planner
from headway.server.services.transitions import Transitions
from headway.server.services.work_pools import WorkPoolService
from headway.store.protocols import Deployments, Filters, Row
from headway.wire.deployments import DeploymentFlowRunCreate, FlowRunCreateResult, ScheduleDeployment
from headway.wire.flow_runs import FlowRun, FlowRunPolicy

__all__ = ["DeploymentRunService"]


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
        clock: Clock,
    ) -> None:
        self._deployments = deployments
        self._pools = pools
        self._transitions = transitions
        self._planner = planner
        self._runs = runs
        self._store = store
        self._clock = clock

    async def create(self, id: UUID, body: DeploymentFlowRunCreate) -> tuple[FlowRun, bool]:
        """The run and whether it is new: an idempotency key (or id) that is taken answers the old one."""
        run_id, is_new = await self._create(await self._deployments.row(id), body)
        return await self._runs.read(run_id), is_new

    async def create_many(self, id: UUID, bodies: Sequence[DeploymentFlowRunCreate]) -> list[FlowRunCreateResult]:
        """One result per body; one that is refused does not stop the others."""
        deployment = await self._deployments.row(id)
        return [await self._try(deployment, body) for body in bodies]

    async def _try(self, deployment: Row, body: DeploymentFlowRunCreate) -> FlowRunCreateResult:
        try:
            run_id, _ = await self._create(deployment, body)
        except HeadwayError as error:
            return FlowRunCreateResult(status="FAILED", error=error.message)
        return FlowRunCreateResult(status="CREATED", flow_run_id=run_id)

    async def _create(self, deployment: Row, body: DeploymentFlowRunCreate) -> tuple[UUID, bool]:
        parameters = _parameters(deployment, body)
        pool = None if deployment["work_pool_name"] is None else await self._pools.row(deployment["work_pool_name"])
        _check_job_variables(pool, deployment, body)
        place = await self._place(deployment, pool, body.work_queue_name)
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
        decision = await self._transitions.create_run(run, state, row)
        assert decision.after is not None, "creating a run always leaves one"
        return decision.after.run.id, decision.created is not None

    async def _place(self, deployment: Row, pool: Row | None, queue_name: str | None) -> Row:
        if queue_name is None or queue_name == deployment["work_queue_name"]:
            return deployment
        if pool is None:
            raise RequestError(
                f"Deployment '{deployment['name']}' has no work pool, so its run cannot go to queue '{queue_name}'. "
                "Leave work_queue_name out, or deploy to a pool."
            )
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


def run_labels(deployment: Row, labels: Mapping[str, Any] | None) -> dict[str, Any]:
    """A run's labels: its deployment's, who made it, its own."""
    made_by = {"prefect.flow.id": str(deployment["flow_id"]), "prefect.deployment.id": str(deployment["id"])}
    return {**(deployment["labels"] or {}), **made_by, **(labels or {})}


def _parameters(deployment: Row, body: DeploymentFlowRunCreate) -> dict[str, Any]:
    merged = {**deployment["parameters"], **body.parameters}
    parameters = hydrated(merged, "hydrating flow run parameters")
    enforce = body.enforce_parameter_schema
    if deployment["enforce_parameter_schema"] if enforce is None else enforce:
        try:
            check_parameters(parameters, deployment["parameter_openapi_schema"])
        except ParameterError as error:
            raise Conflict(f"Error creating flow run: {error.message}", code="ParametersInvalid") from error
    return parameters


def _check_job_variables(pool: Row | None, deployment: Row, body: DeploymentFlowRunCreate) -> None:
    if pool is None:
        return
    template, layers = pool["base_job_template"], (deployment["job_variables"], body.job_variables)
    try:
        templates.check_job_variables(template, *layers, required=True)
    except TemplateError as error:
        raise Invalid(error.message, loc=("body", *error.loc)) from error


def _policy(deployment: Row, asked: FlowRunPolicy) -> Policy:
    """The run's own retries if it says any, else its deployment's (DESIGN §3, "Deploying copies …")."""
    own = msgspec.to_builtins(asked)
    for name in ("retries", "retry_delay", "retry_on_crash"):
        if own.get(name) is None:
            own[name] = deployment[name]
    return Policy.of(own)
