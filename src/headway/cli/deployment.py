"""`headway deployment …`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from headway.cli.app import App
from headway.cli.commands import Group
from headway.cli.confirming import yes_option
from headway.cli.tables import ago, block, when
from headway.cli.values import NAME, pairs
from headway.core.errors import Conflict
from headway.wire.base import UNSET

__all__ = ["deployment_words", "group"]

PAGE = 200


@click.group(cls=Group)
def group() -> None:
    """Flows with a pool to run in. NAME is NAME, FLOW/NAME or the id of a deployment."""


def schedule_words(schedule: Any) -> str:
    """A schedule for people, e.g. "cron 0 6 * * * (Europe/Berlin)"."""
    kind = schedule.kind
    value = getattr(schedule, kind)
    what = f"every {value:g} s" if kind == "interval" else f"{kind} {value}"
    return f"{what} ({schedule.timezone})" if schedule.timezone else what


def next_run(deployment: Any, now: datetime | None = None) -> datetime | None:
    """When the next run of any active schedule is due; None if nothing is scheduled."""
    import msgspec

    from headway.core.schedules import Schedule, next_times

    if deployment.paused:
        return None
    due: list[datetime] = []
    for entry in deployment.schedules:
        if entry.active:
            fields = {
                name: value for name, value in msgspec.structs.asdict(entry.schedule).items() if value is not UNSET
            }
            due += next_times(Schedule(**fields), now or datetime.now(UTC))
    return min(due, default=None)


def deployment_words(deployment: Any, pool_type: str | None) -> list[tuple[str, Any]]:
    """What `deploy` and `inspect` say about a deployment."""
    pool = deployment.work_pool_name
    return [
        ("id", deployment.id),
        ("Work Pool", f"{pool} (type: {pool_type})" if pool else "none: served by the process that made it"),
        ("Work Queue", f"{pool}/{deployment.work_queue_name}" if pool else None),
        ("Schedule", [schedule_words(e.schedule) for e in deployment.schedules if e.active] or "none"),
        ("Next run", when(next_run(deployment)) if deployment.schedules else "when asked for"),
    ]


def _pool_type(client: Any, deployment: Any) -> str | None:
    return client.read_work_pool(deployment.work_pool_name).type if deployment.work_pool_name else None


@group.command()
@click.argument("name")
@click.option("--param", "-p", "params", multiple=True, metavar="K=V", help="A parameter of the flow; repeatable.")
@click.option("--job-variable", "-j", "job_variables", multiple=True, metavar="K=V", help="Overrides the deployment's.")
@click.option("--work-queue", "-q", help="Another queue of the deployment's pool.")
@click.option("--watch", is_flag=True, help="Show states and log lines until it has ended.")
@click.pass_obj
def run(
    app: App,
    name: str,
    params: tuple[str, ...],
    job_variables: tuple[str, ...],
    work_queue: str | None,
    watch: bool,
) -> int:
    """Make a run of a deployment now. With --watch it exits 1 unless the run completed."""
    from headway.cli.following import exit_code, watch_run
    from headway.cli.lookup import check_queue, find_deployment
    from headway.wire.deployments import DeploymentFlowRunCreate

    with app.client() as client:
        deployment, full = find_deployment(client, name)
        pool = client.read_work_pool(deployment.work_pool_name) if deployment.work_pool_name else None
        if work_queue and pool:
            check_queue(client, pool.name, work_queue)
        variables = pool.base_job_template.get("variables") if pool else None
        body = DeploymentFlowRunCreate(
            parameters=pairs(params, "--param", deployment.parameter_openapi_schema),
            job_variables=pairs(job_variables, "--job-variable", variables) or None,
            work_queue_name=work_queue,
        )
        made = client.create_flow_run_from_deployment(deployment.id, body)
        queue = f"{made.work_pool_name}/{made.work_queue_name}" if made.work_pool_name else None
        said = block(
            ("Flow run", made.name),
            ("id", made.id),
            ("Deployment", full),
            ("State", made.state_name),
            ("Work Queue", queue),
        )
        if not watch:
            app.show(made, said)
            return 0
        app.show_line({"flow_run": made}, said)
        return exit_code(watch_run(app, client, made, logs=True))


@group.command("ls")
@click.option("--pool", "-p", type=NAME, help="Only those of this work pool.")
@click.pass_obj
def list_deployments(app: App, pool: str | None) -> None:
    """All deployments."""
    from headway.cli.lookup import flow_names
    from headway.wire.deployments import DeploymentQuery
    from headway.wire.filters import IdAny, WorkPoolFilter

    with app.client() as client:
        chosen = WorkPoolFilter(id=IdAny(any_=[client.read_work_pool(pool).id])) if pool else None
        found: list[Any] = []
        while True:
            page = client.read_deployments(DeploymentQuery(work_pools=chosen, limit=PAGE, offset=len(found)))
            found += page
            if len(page) < PAGE:
                break
        flows = flow_names(client, (deployment.flow_id for deployment in found))
    app.show_table(
        found,
        ("Name", "Work pool", "Queue", "Status", "Schedule", "Next run"),
        [
            (
                f"{flows.get(d.flow_id)}/{d.name}",
                d.work_pool_name,
                d.work_queue_name,
                "PAUSED" if d.paused else d.status,
                [schedule_words(entry.schedule) for entry in d.schedules if entry.active],
                ago(next_run(d)),
            )
            for d in found
        ],
        "There are no deployments yet. Make one with: headway deploy FILE.py:flow --name NAME --pool POOL",
    )


@group.command()
@click.argument("name")
@click.pass_obj
def inspect(app: App, name: str) -> None:
    """Everything about a deployment."""
    from headway.cli.lookup import find_deployment

    with app.client() as client:
        deployment, full = find_deployment(client, name)
        pool_type = _pool_type(client, deployment)
    text = block(
        ("Name", full),
        *deployment_words(deployment, pool_type),
        ("Status", "PAUSED" if deployment.paused else deployment.status),
        ("Entrypoint", deployment.entrypoint),
        ("Root", deployment.path),
        ("Parameters", deployment.parameters or None),
        ("Job variables", deployment.job_variables or None),
        ("Tags", deployment.tags or None),
        ("Concurrency limit", deployment.concurrency_limit),
        ("Retries", deployment.retries),
        ("Description", deployment.description),
        ("Updated", deployment.updated),
    )
    import msgspec

    facts = {**msgspec.to_builtins(deployment), "full_name": full, "work_pool_type": pool_type}
    app.show({**facts, "next_run": next_run(deployment)}, text)


@group.command()
@click.argument("name")
@click.option("--job-variable", "-j", "job_variables", multiple=True, metavar="K=V", help="As a run would set it.")
@click.pass_obj
def preview(app: App, name: str, job_variables: tuple[str, ...]) -> None:
    """What would be started for a run, rendered, secrets masked. Nothing is started."""
    from headway.cli.lookup import find_deployment
    from headway.cli.previews import rendered

    with app.client() as client:
        deployment, full = find_deployment(client, name)
        if deployment.work_pool_name is None:
            raise Conflict(
                f"Deployment '{full}' has no work pool: the process that serves it runs it itself. "
                "Deploy it with --pool to have workers start it."
            )
        pool = client.read_work_pool(deployment.work_pool_name)
        url = client.url
    given = pairs(job_variables, "--job-variable", pool.base_job_template.get("variables"))
    text, configuration = rendered(pool, deployment.job_variables, given, api_url=url, root=deployment.path)
    value = {"deployment": full, "work_pool": pool.name, "type": pool.type, "configuration": configuration}
    app.show({**value, "preview": text}, text)


@group.command()
@click.argument("name")
@click.pass_obj
def pause(app: App, name: str) -> None:
    """Schedule nothing more until it is resumed."""
    _switch(app, name, paused=True)


@group.command()
@click.argument("name")
@click.pass_obj
def resume(app: App, name: str) -> None:
    """Schedule runs again."""
    _switch(app, name, paused=False)


def _switch(app: App, name: str, *, paused: bool) -> None:
    from headway.cli.lookup import find_deployment

    with app.client() as client:
        deployment, full = find_deployment(client, name)
        (client.pause_deployment if paused else client.resume_deployment)(deployment.id)
        after = client.read_deployment(deployment.id)
    said = (
        f"Paused deployment '{full}'." if paused else f"Resumed deployment '{full}'. Next run: {when(next_run(after))}"
    )
    app.show(after, said)


@group.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Cancel its waiting and running runs first.")
@yes_option
@click.pass_obj
def delete(app: App, name: str, force: bool) -> None:
    """Delete a deployment. Refused while runs wait or run, unless --force."""
    from headway.cli.lookup import find_deployment

    with app.client() as client:
        deployment, full = find_deployment(client, name)
        if force:
            app.note(f"Cancelling the runs of '{full}' and waiting until they have ended …")
        client.delete_deployment(deployment.id, force=force)
    app.show({"deleted": full, "id": deployment.id}, f"Deleted deployment '{full}'.")
