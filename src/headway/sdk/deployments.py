"""Deployments made from flows: `Deployment`, what `Flow.deploy` uses, and `run_deployment`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self
from uuid import UUID

from headway.client.client import Client
from headway.client.deployments import schedule_entry
from headway.client.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule
from headway.core.errors import HeadwayError, WorkerTypeNotSupportedError
from headway.core.states import TERMINAL, StateType
from headway.sdk.context import TAGS, flow_context
from headway.sdk.dispatch import with_client
from headway.sdk.entrypoints import relative_entrypoint
from headway.sdk.flow_runs import policy_of
from headway.sdk.parameters import json_form
from headway.wire.deployments import (
    ConcurrencyOptions,
    DeploymentCreate,
    DeploymentFlowRunCreate,
    DeploymentScheduleCreate,
)
from headway.wire.flow_runs import FlowRun
from headway.wire.states import StateCreate, StateDetails

if TYPE_CHECKING:
    from headway.sdk.flows import Flow

__all__ = ["Deployment", "Infrastructure", "run_deployment"]


class Infrastructure(Protocol):
    """A driver's configuration object, e.g. `headway.Process(env={…})`."""

    type: Any

    def job_variables(self) -> dict[str, Any]:
        """Only the fields that were given."""
        ...


@dataclass(kw_only=True)
class Deployment:
    """A flow, and how, when and where it is to run. `apply()` makes or replaces it on the server.

    `path` is the project's folder, which `entrypoint` is relative to. `cron`, `interval` (seconds or
    timedelta), `rrule` and `schedules` add up; `timezone` is for the first three.
    """

    name: str
    flow: Flow[Any, Any]
    work_pool_name: str | None = None
    work_queue_name: str | None = None
    entrypoint: str | None = None
    path: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    cron: str | None = None
    interval: float | timedelta | None = None
    rrule: str | None = None
    timezone: str | None = None
    schedules: Sequence[Schedule | DeploymentScheduleCreate] = ()
    paused: bool = False
    tags: Sequence[str] = ()
    description: str | None = None
    version: str | None = None
    job_variables: dict[str, Any] = field(default_factory=dict)
    infrastructure: Infrastructure | None = None
    concurrency_limit: int | None = None
    concurrency_options: ConcurrencyOptions | None = None
    enforce_parameter_schema: bool = True

    @classmethod
    def build_from_flow(
        cls, flow: Flow[Any, Any], name: str, infrastructure: Infrastructure | None = None, **fields: Any
    ) -> Self:
        """A deployment of `flow`. Of `infrastructure` only the fields that were set override the pool's."""
        return cls(flow=flow, name=name, infrastructure=infrastructure, **fields)

    def __post_init__(self) -> None:
        if "/" in self.name or not self.name:
            raise HeadwayError(f"A deployment's name cannot be {self.name!r}: it must not be empty or contain '/'.")

    def apply(self) -> Any:
        """Make or replace the deployment; its id (in async code: awaitable)."""
        return with_client(self.apply_with)

    async def apply_with(self, client: Client) -> UUID:
        if self.infrastructure is not None and self.work_pool_name is not None:
            pool = await client.read_work_pool(self.work_pool_name)
            if pool.type != self.infrastructure.type:
                raise WorkerTypeNotSupportedError(self.infrastructure.type, pool.type)
        flow = await client.create_flow(self.flow.name)
        return (await client.apply_deployment(self.body(flow.id))).id

    def body(self, flow_id: UUID) -> DeploymentCreate:
        """The request that `apply` sends."""
        path, entrypoint = self._place()
        policy = policy_of(self.flow)
        given = self.infrastructure.job_variables() if self.infrastructure is not None else {}
        return DeploymentCreate(
            name=self.name,
            flow_id=flow_id,
            paused=self.paused,
            schedules=[schedule_entry(entry) for entry in self._all_schedules()],
            concurrency_limit=self.concurrency_limit,
            concurrency_options=self.concurrency_options,
            enforce_parameter_schema=self.enforce_parameter_schema,
            parameter_openapi_schema=self.flow.parameters.schema(),
            parameters=json_form(self.parameters),
            tags=sorted(set(self.tags)),
            work_queue_name=self.work_queue_name,
            work_pool_name=self.work_pool_name,
            description=self.description or self.flow.description,
            path=path,
            version=self.version or self.flow.version,
            entrypoint=entrypoint,
            job_variables={**given, **self.job_variables},
            retries=self.flow.retries or None,
            retry_delay=float(policy.retry_delay or 0) or None,
            retry_on_crash=self.flow.retry_on_crash,
        )

    def _place(self) -> tuple[str, str]:
        """Root folder and entrypoint: relative to the current folder if the flow is in it."""
        if self.entrypoint is not None:
            return self.path or str(Path.cwd()), self.entrypoint
        root = Path(self.path) if self.path else Path.cwd()
        entrypoint = relative_entrypoint(self.flow, root)
        if entrypoint.startswith("/"):  # a script from elsewhere: its own folder is the project
            file, _, name = entrypoint.rpartition(":")
            return str(Path(file).parent), f"{Path(file).name}:{name}"
        return str(root), entrypoint

    def _all_schedules(self) -> list[Schedule | DeploymentScheduleCreate]:
        made: list[Schedule | DeploymentScheduleCreate] = list(self.schedules)
        if self.cron is not None:
            made.append(CronSchedule(self.cron, self.timezone))
        if self.interval is not None:
            made.append(IntervalSchedule(self.interval, timezone=self.timezone))
        if self.rrule is not None:
            made.append(RRuleSchedule(self.rrule, self.timezone))
        return made


def run_deployment(
    name: str | UUID,
    parameters: dict[str, Any] | None = None,
    *,
    scheduled_time: datetime | None = None,
    flow_run_name: str | None = None,
    timeout: float | None = None,
    poll_interval: float = 1.0,
    tags: Sequence[str] = (),
    idempotency_key: str | None = None,
    work_queue_name: str | None = None,
    job_variables: dict[str, Any] | None = None,
    as_subflow: bool = True,
) -> Any:
    """Have a deployment ("flow/deployment" or its id) run, and wait for the end.

    Waits `timeout` seconds at most (None: for ever, 0: not at all) and returns the FlowRun as it is then.
    Inside a flow the run is drawn as a part of it, unless `as_subflow=False`. Awaitable in async code.
    """
    flow = flow_context()
    run = DeploymentFlowRunCreate(
        state=StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=_due(scheduled_time))),
        name=flow_run_name,
        parameters=json_form(parameters or {}),
        tags=sorted({*tags, *TAGS.get()}),
        idempotency_key=idempotency_key,
        work_queue_name=work_queue_name,
        job_variables=job_variables,
    )

    async def work(client: Client) -> FlowRun:
        deployment_id = name if isinstance(name, UUID) else (await client.read_deployment_by_name(name)).id
        if flow is not None and as_subflow:
            from headway.sdk.tracking import new_parent  # only inside flows

            run.parent_task_run_id = (await new_parent(flow, f"{name}", "deployment", {})).id
        made = await client.create_flow_run_from_deployment(deployment_id, run)
        return await _ended(client, made, timeout, poll_interval)

    return with_client(work)


def _due(scheduled_time: datetime | None) -> datetime:
    if scheduled_time is None:
        return datetime.now(UTC)
    return scheduled_time.astimezone(UTC)


async def _ended(client: Client, run: FlowRun, timeout: float | None, poll_interval: float) -> FlowRun:
    deadline = None if timeout is None else time.monotonic() + timeout
    while run.state_type not in TERMINAL:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return run
        await asyncio.sleep(poll_interval if left is None else min(poll_interval, left))
        run = await client.read_flow_run(run.id)
    return run
