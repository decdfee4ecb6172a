"""From a claim to a job: the driver's typed settings, the environment a run needs, and a preview of both."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from headway.drivers.base import Configuration, ConfigurationType, DriverContext, Job, configure
from headway.drivers.registry import DriverRegistry
from headway.wire.workers import Claim, ClaimFacts

__all__ = ["RunEnvironment", "job_of", "preview"]

NO_RUN = UUID(int=0)


@dataclass(frozen=True, slots=True)
class RunEnvironment:
    """How a run reaches the control plane."""

    api_url: str
    api_key: str | None = None

    def variables(self, settings: Configuration, flow_run_id: UUID, attempt: int, token: str) -> dict[str, str | None]:
        """The run's environment. Settings may point it at another URL (a container sees another host), but
        not at another run."""
        reach: dict[str, str | None] = {"HEADWAY_API_URL": self.api_url, "PYTHONUNBUFFERED": "1"}
        if self.api_key:
            reach["HEADWAY_API_KEY"] = self.api_key
        if settings.engine == "prefect":
            reach["PREFECT_API_URL"] = self.api_url
        identity: dict[str, str | None] = {
            "HEADWAY_FLOW_RUN_ID": str(flow_run_id),
            "HEADWAY_ATTEMPT": str(attempt),
            "HEADWAY_ATTEMPT_TOKEN": token,
            "PREFECT__FLOW_RUN_ID": str(flow_run_id),
        }
        return {**reach, **settings.env, **identity}


def job_of(claim: Claim, configuration: ConfigurationType, environment: RunEnvironment) -> Job:
    """Raises `StartFailed` when the resolved configuration does not fit the driver."""
    settings = configure(configuration, claim.configuration)
    return build(
        settings,
        environment,
        flow_run_id=claim.flow_run.id,
        attempt=claim.attempt,
        token=claim.token,
        name=claim.flow_run.name,
        pool=claim.work_pool_name,
        labels={"headway.flow": claim.flow.name, "headway.work-pool": claim.work_pool_name},
        root=claim.deployment.path if claim.deployment else None,
        entrypoint=claim.deployment.entrypoint if claim.deployment else None,
        facts=msgspec.json.encode(facts_of(claim)),
    )


def facts_of(claim: Claim) -> ClaimFacts:
    deployment = claim.deployment
    if deployment is None:
        return ClaimFacts(flow_run=claim.flow_run)
    return ClaimFacts(
        flow_run=claim.flow_run,
        deployment_name=deployment.name,
        path=deployment.path,
        entrypoint=deployment.entrypoint,
    )


def build(settings: Configuration, environment: RunEnvironment, *, token: str, **fields: Any) -> Job:
    job = Job(
        configuration=settings,
        command=tuple(shlex.split(settings.command)) if settings.command else (),
        env=environment.variables(settings, fields["flow_run_id"], fields["attempt"], token),
        secrets=frozenset({"HEADWAY_ATTEMPT_TOKEN", "HEADWAY_API_KEY"}),
        **fields,
    )
    labels = {**job.labels, "headway.flow-run-id": str(job.flow_run_id), "headway.attempt": str(job.attempt)}
    return replace(job, name=settings.name or job.name, labels={**labels, **settings.labels})


def preview(
    type: str,
    configuration: Mapping[str, Any],
    *,
    pool: str,
    name: str = "(name of the run)",
    root: str | None = None,
    api_url: str = "(URL of the API)",
    registry: DriverRegistry | None = None,
) -> str:
    """What a worker would start for a resolved `job_configuration`, secrets masked. Nothing is started.

    Raises `DriverNotFound` for a type without driver, `StartFailed` for a configuration that does not fit.
    """
    driver = (registry or DriverRegistry.installed()).load(type)
    settings = configure(driver.Configuration, configuration)
    job = build(
        settings,
        RunEnvironment(api_url),
        flow_run_id=NO_RUN,
        attempt=1,
        token="",
        name=name,
        pool=pool,
        labels={"headway.work-pool": pool},
        root=root,
    )
    shown = replace(job, env={**job.env, "HEADWAY_FLOW_RUN_ID": "(id of the run)", "PREFECT__FLOW_RUN_ID": "(same)"})
    return driver(DriverContext(home=Path(sys.prefix), pool=pool)).preview(shown)
