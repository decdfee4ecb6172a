"""`headway deploy FILE.py:flow --name N --pool P …`."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headway.cli.app import App
from headway.cli.commands import Command
from headway.cli.tables import block
from headway.cli.values import NAME, SECONDS, pairs
from headway.core.errors import EntrypointNotFound, NotFound, ParameterError, ScheduleError

if TYPE_CHECKING:
    from headway.client.sync import SyncClient
    from headway.sdk.flows import Flow
    from headway.wire.deployments import Deployment
    from headway.wire.schedules import Schedule
    from headway.wire.work_pools import WorkPool

__all__ = ["deploy"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks for."""

    entrypoint: str
    name: str
    pool: str
    work_queue: str | None
    schedule: Schedule | None
    params: tuple[str, ...]
    job_variables: tuple[str, ...]
    tags: tuple[str, ...]
    concurrency_limit: int | None
    description: str | None
    paused: bool


@click.command(cls=Command)
@click.argument("entrypoint", metavar="FILE.py[:FLOW]")
@click.option("--name", "-n", required=True, help="Name of the deployment.")
@click.option("--pool", "-p", required=True, type=NAME, help="The work pool its runs wait in.")
@click.option("--work-queue", "-q", help="A queue of the pool; without it, `default`.")
@click.option("--cron", help="Run at the times of a cron line, e.g. '0 6 * * *'.")
@click.option("--timezone", help="IANA time zone of the schedule, e.g. Europe/Berlin; without it, UTC.")
@click.option("--interval", type=SECONDS, metavar="SECONDS", help="Run every so many seconds, e.g. 300.")
@click.option("--rrule", help="Run at the times of an RFC 5545 rule.")
@click.option("--param", "params", multiple=True, metavar="K=V", help="A parameter of the flow; repeatable.")
@click.option("--job-variable", "-j", "job_variables", multiple=True, metavar="K=V", help="Overrides the pool's.")
@click.option("--tag", "-t", "tags", multiple=True, help="A tag of its runs; repeatable.")
@click.option("--concurrency-limit", type=click.IntRange(min=1), help="Runs at once, at most.")
@click.option("--description", help="What it is for; without it, the flow's.")
@click.option("--paused", is_flag=True, help="Make it paused: nothing is scheduled until it is resumed.")
@click.pass_obj
def deploy(
    app: App,
    /,
    cron: str | None,
    timezone: str | None,
    interval: float | None,
    rrule: str | None,
    **given: Any,
) -> None:
    """Make a deployment of the flow in a file, or replace the one of that name."""
    wanted = Wanted(schedule=_schedule(cron, interval, rrule, timezone), **given)
    with app.client() as client:
        pool = client.read_work_pool(wanted.pool)
        if wanted.work_queue:
            from headway.cli.lookup import check_queue

            check_queue(client, pool.name, wanted.work_queue)
        flow = _load(wanted.entrypoint)
        before, waiting = _present(client, flow.name, wanted.name)
        made = _apply(client, flow, wanted, pool)
        after = client.read_deployment(made.id)
    _tell(app, f"{flow.name}/{wanted.name}", pool, before, after, waiting)


def _schedule(cron: str | None, interval: float | None, rrule: str | None, timezone: str | None) -> Schedule | None:
    """The one schedule asked for, checked here so that the message names the option."""
    from headway.core import schedules as core
    from headway.wire.base import UNSET
    from headway.wire.schedules import Schedule

    context = click.get_current_context()
    chosen = {"cron": cron, "interval": interval, "rrule": rrule}
    named = [name for name, value in chosen.items() if value is not None]
    if len(named) > 1:
        raise click.UsageError(f"--{' and --'.join(named)} exclude each other; give one of them", context)
    if not named:
        if timezone is not None:
            raise click.UsageError("--timezone needs a schedule: --cron, --interval or --rrule", context)
        return None
    kind = named[0]
    try:
        core.zone(timezone)
    except ScheduleError as error:
        raise ScheduleError(f"--timezone: {error.message}") from error
    try:
        core.check_schedule(core.Schedule(**{kind: chosen[kind]}, timezone=timezone))  # type: ignore[arg-type]
    except ScheduleError as error:
        raise ScheduleError(f"--{kind}: {error.message}") from error
    fields: dict[str, Any] = {kind: chosen[kind], "timezone": UNSET if timezone is None else timezone}
    return Schedule(**fields)


def _load(entrypoint: str) -> Flow[Any, Any]:
    """The flow, with its module imported from the current folder."""
    from headway.sdk.entrypoints import load_flow

    try:
        return load_flow(entrypoint, [Path.cwd()])
    except EntrypointNotFound:
        raise
    except Exception as error:
        raise EntrypointNotFound(
            f"Entrypoint '{entrypoint}' cannot be imported: {type(error).__name__}: {error}. "
            "Correct the file, or install what it imports."
        ) from error


def _present(client: SyncClient, flow: str, name: str) -> tuple[Deployment | None, int]:
    """The deployment of that name as it is now, and how many of its runs wait."""
    from headway.core.states import StateType
    from headway.wire.filters import DeploymentFilter, FlowRunFilter, IdAnyNot, StateCriteria, StateTypesNot
    from headway.wire.flow_runs import FlowRunCount

    with contextlib.suppress(NotFound):
        before = client.read_deployment_by_name(f"{flow}/{name}")
        waiting = FlowRunCount(
            deployments=DeploymentFilter(id=IdAnyNot(any_=[before.id])),
            flow_runs=FlowRunFilter(state=StateCriteria(type=StateTypesNot(any_=[StateType.SCHEDULED]))),
        )
        return before, client.count_flow_runs(waiting)
    return None, 0


def _apply(client: SyncClient, flow: Flow[Any, Any], wanted: Wanted, pool: WorkPool) -> Deployment:
    from headway.core import templates
    from headway.sdk.deployments import Deployment as Planned

    variables = pairs(wanted.job_variables, "--job-variable", pool.base_job_template.get("variables"))
    templates.check_job_variables(pool.base_job_template, variables)
    planned = Planned(
        flow=flow,
        name=wanted.name,
        work_pool_name=pool.name,
        work_queue_name=wanted.work_queue,
        schedules=[wanted.schedule] if wanted.schedule else [],
        parameters=_parameters(flow, wanted.params),
        job_variables=variables,
        tags=wanted.tags,
        concurrency_limit=wanted.concurrency_limit,
        description=wanted.description,
        paused=wanted.paused,
    )
    made: Deployment = client.apply_deployment(planned.body(client.create_flow(flow.name).id))
    return made


def _parameters(flow: Flow[Any, Any], given: tuple[str, ...]) -> dict[str, Any]:
    """Parameters of the flow, checked by name and type."""
    from headway.core.nearest import suggestion
    from headway.core.parameters import check_parameters

    schema = flow.parameters.schema()
    parameters = pairs(given, "--param", schema)
    known = list(schema["properties"])
    takes_any = any(p.kind is p.VAR_KEYWORD for p in flow.parameters.signature.parameters.values())
    for name in parameters:
        if name not in known and not takes_any:
            hint = suggestion(name, known, "It takes none.")
            raise ParameterError(f"Flow '{flow.name}' has no parameter '{name}'.{hint}")
    check_parameters(parameters, schema, required=False)
    return parameters


def _tell(app: App, full: str, pool: WorkPool, before: Deployment | None, after: Deployment, waiting: int) -> None:
    """What was made, and what a move to another pool means for the runs that wait."""
    from msgspec import to_builtins

    from headway.cli.deployment import deployment_words

    said = [f"{'Created' if before is None else 'Updated'} deployment '{full}'."]
    said.append(block(*deployment_words(after, pool.type)))
    moved = before is not None and before.work_queue_id != after.work_queue_id
    place = f"{after.work_pool_name}/{after.work_queue_name}"
    if before is not None and moved:
        old = f"{before.work_pool_name}/{before.work_queue_name}" if before.work_pool_name else "no work pool"
        runs = f"{waiting} waiting run{'s' if waiting != 1 else ''}"
        said.append(f"Moved from {old} to {place}: its {runs} moved too; what already runs goes on where it is.")
    said.append(f"Run it now with: headway deployment run {full}")
    facts = {"full_name": full, "work_pool_type": pool.type, "created": before is None}
    app.show({**to_builtins(after), **facts, "moved_runs": waiting if moved else 0}, "\n".join(said))
