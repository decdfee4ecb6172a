"""The service: makes pools, queues and deployments from the settings, and starts loads where they belong.

One deployment per ingestion, with its cron schedule and parameters. A run that the schedule makes starts in the
standard pool, looks at what is waiting and, if that is a large load, hands over to the large pool (`hand_over`); a run
asked for through `trigger` is placed at once by the same rule.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

from autoloader.errors import SettingsError
from autoloader.lake import Target
from autoloader.load import waiting
from autoloader.routing import Place, Trigger, route
from autoloader.settings import Ingestion, Pool, Settings, as_json
from headway.client.sync import SyncClient
from headway.core.errors import NotFound
from headway.sdk.parameters import Parameters
from headway.wire.deployments import Deployment
from headway.wire.filters import FlowRunFilter, IdAnyNull, NameAny, StateCriteria, StateTypesNot, WorkPoolFilter
from headway.wire.flow_runs import FlowRun, FlowRunCreate, FlowRunPolicy, FlowRunQuery
from headway.wire.schedules import Schedule
from headway.wire.states import StateCreate, StateType
from headway.wire.work_pools import WorkPoolCreate, WorkPoolUpdate
from headway.wire.work_queues import WorkQueueCreate, WorkQueueUpdate

DECIDE, LOAD, PREVIEW = "decide", "load", "preview"
"""Modes of the flow: look and perhaps hand over; load here; only show what would happen."""
UNFINISHED = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]
JSON_TYPES: Mapping[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}


@dataclass(frozen=True, slots=True)
class Triggered:
    """A run, where it waits, and what was waiting to be loaded when that was decided."""

    run: FlowRun
    place: Place
    files: int
    size: int


class Service:
    """Works on one Headway server. Every method may be repeated."""

    def __init__(self, settings: Settings, client: SyncClient) -> None:
        self.settings = settings
        self.client = client

    def apply(self) -> Iterator[str]:
        """Make or change pools, queues and deployments; yields a line for each.

        Raises:
            SettingsError: a pool of that name is there with another type.
        """
        standard, large = self.settings.standard, self.settings.large
        for pool in (standard, large):
            yield self._pool(pool)
        yield self._queue(standard.name, self.settings.priority_queue, 1)
        yield self._queue(standard.name, standard.queue, 2)
        yield self._queue(large.name, large.queue, 1 if large.name != standard.name else 3)
        for ingestion in self.settings.ingestion:
            yield self._deploy(ingestion)

    def trigger(self, name: str, trigger: Trigger = Trigger.MANUAL) -> Triggered:
        """Start a run of an ingestion where it belongs now."""
        ingestion = self.settings.named(name)
        found = waiting(ingestion.files(), Target(Path(self.settings.warehouse), ingestion.table))
        size = sum(file.size for file in found)
        place = route(trigger, size, self.settings)
        mode = PREVIEW if trigger is Trigger.PREVIEW else LOAD
        run = start(self.client, self._deployment(ingestion), place, {"mode": mode})
        return Triggered(run, place, len(found), size)

    def retry(self, flow_run_id: UUID) -> Triggered:
        """A new run with the parameters of an old one, served first.

        Raises:
            SettingsError: the run is not of one of our deployments.
        """
        old: FlowRun = self.client.read_flow_run(flow_run_id)
        if old.deployment_id is None:
            raise SettingsError(f"flow run {flow_run_id} belongs to no deployment; retry runs of an ingestion")
        deployment: Deployment = self.client.read_deployment(old.deployment_id)
        place = route(Trigger.RETRY, 0, self.settings)
        given = {**old.parameters, "mode": LOAD if old.parameters.get("mode") != PREVIEW else PREVIEW}
        return Triggered(start(self.client, deployment, place, given), place, 0, 0)

    def _pool(self, pool: Pool) -> str:
        try:
            there = self.client.read_work_pool(pool.name)
        except NotFound:
            template = pool.base_job_template or {}
            there = self.client.create_work_pool(
                WorkPoolCreate(name=pool.name, type=pool.type, base_job_template=template)
            )
        if there.type != pool.type:
            raise SettingsError(
                f"work pool '{pool.name}' is of type {there.type} and a pool's type never changes; the settings say"
                f" {pool.type}: give the pool another name there"
            )
        template = declaring(there.base_job_template, pool.job_variables)
        if template != there.base_job_template:
            self.client.update_work_pool(pool.name, WorkPoolUpdate(base_job_template=template))
        variables = ", ".join(f"{name}={value}" for name, value in pool.job_variables.items())
        return f"work pool {pool.name} (type: {pool.type})" + (f" with {variables}" if variables else "")

    def _queue(self, pool: str, name: str, priority: int) -> str:
        try:
            there = self.client.read_work_queue(pool, name)
        except NotFound:
            self.client.create_work_queue(pool, WorkQueueCreate(name=name, priority=priority))
        else:
            if there.priority != priority:
                self.client.update_work_queue(pool, name, WorkQueueUpdate(priority=priority))
        return f"work queue {pool}/{name} (priority {priority})"

    def _deploy(self, ingestion: Ingestion) -> str:
        flow = flow_of(ingestion.entrypoint)
        registered = self.client.create_flow(flow.name)
        routing = self.settings.routing()
        self.client.create_deployment(
            registered.id,
            ingestion.name,
            parameters={
                "ingestion": as_json(ingestion),
                "routing": as_json(routing),
                "warehouse": self.settings.warehouse,
                "mode": DECIDE,
            },
            schedule=Schedule(cron=ingestion.cron, timezone=ingestion.timezone) if ingestion.cron else None,
            work_pool_name=routing.standard.name,
            work_queue_name=routing.standard.queue,
            entrypoint=ingestion.entrypoint,
            job_variables=dict(routing.standard.job_variables),
            parameter_openapi_schema=Parameters(flow.fn).schema(),
            retries=ingestion.retries,
            retry_delay=ingestion.retry_delay_seconds,
            tags=["autoloader"],
        )
        when = f"cron {ingestion.cron} {ingestion.timezone}" if ingestion.cron else "no schedule"
        return f"deployment {flow.name}/{ingestion.name} ({when}) -> {ingestion.table}"

    def _deployment(self, ingestion: Ingestion) -> Deployment:
        name = f"{flow_of(ingestion.entrypoint).name}/{ingestion.name}"
        try:
            found: Deployment = self.client.read_deployment_by_name(name)
        except NotFound as error:
            raise SettingsError(f"there is no deployment {name} yet; run `python -m autoloader apply` first") from error
        return found


def start(
    client: SyncClient,
    deployment: Deployment,
    place: Place,
    parameters: Mapping[str, Any],
    idempotency_key: str | None = None,
) -> FlowRun:
    """A run of the deployment in any pool and queue: the deployment stays where it is, only the run goes elsewhere."""
    body = FlowRunCreate(
        flow_id=deployment.flow_id,
        deployment_id=deployment.id,
        state=StateCreate(type=StateType.SCHEDULED),
        parameters={**deployment.parameters, **parameters},
        work_pool_name=place.pool,
        work_queue_name=place.queue,
        job_variables=dict(place.job_variables),
        empirical_policy=FlowRunPolicy(retries=deployment.retries, retry_delay=deployment.retry_delay),
        idempotency_key=idempotency_key,
        tags=deployment.tags,
    )
    run: FlowRun = client.create_flow_run(body)
    return run


def hand_over(client: SyncClient, flow_run_id: UUID, place: Place) -> FlowRun | None:
    """From inside a run: start another of the same deployment at `place`; None if one is unfinished there."""
    own: FlowRun = client.read_flow_run(flow_run_id)
    if own.deployment_id is None:
        raise SettingsError(f"flow run {flow_run_id} belongs to no deployment and cannot hand over")
    unfinished = FlowRunQuery(
        flow_runs=FlowRunFilter(
            deployment_id=IdAnyNull(any_=[own.deployment_id]), state=StateCriteria(type=StateTypesNot(any_=UNFINISHED))
        ),
        work_pools=WorkPoolFilter(name=NameAny(any_=[place.pool])),
        limit=1,
    )
    if client.read_flow_runs(unfinished):
        return None
    deployment: Deployment = client.read_deployment(own.deployment_id)
    return start(client, deployment, place, {"mode": LOAD}, f"hand over {flow_run_id}")


def declaring(template: Mapping[str, Any], job_variables: Mapping[str, Any]) -> dict[str, Any]:
    """The base job template with every one of these job variables declared; those it has already stay as they are."""
    schema = template.get("variables") or {"type": "object"}
    declared = schema.get("properties") or {}
    missing = {
        name: {"title": name, "type": JSON_TYPES.get(type(value), "object"), "description": "set by the autoloader"}
        for name, value in job_variables.items()
        if name not in declared
    }
    if not missing:
        return dict(template)
    return {
        "job_configuration": template.get("job_configuration") or {},
        "variables": {**schema, "properties": {**declared, **missing}},
    }


def flow_of(entrypoint: str) -> Any:
    """The flow that ``package.module:name`` names.

    Raises:
        SettingsError: there is none.
    """
    module, _, name = entrypoint.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(f"entrypoint '{entrypoint}' leads to no flow: {error}") from error
