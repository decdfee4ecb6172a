"""`headway work-pool …`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headway.cli.app import App
from headway.cli.commands import Group
from headway.cli.confirming import yes_option
from headway.cli.tables import ago, block
from headway.cli.values import NAME, json_argument, pairs

if TYPE_CHECKING:
    from headway.client.sync import SyncClient
    from headway.wire.work_pools import WorkPool

TEMPLATE_HELP = "JSON or a file: a template, a job_configuration of plain values, or an object of defaults."


@click.group(cls=Group)
def group() -> None:
    """Where runs of one infrastructure type wait for a worker."""


@group.command()
@click.argument("name", type=NAME)
@click.option("--type", "-t", "type_", required=True, help="Infrastructure type; `headway worker-type ls` lists them.")
@click.option("--base-job-template", metavar="FILE|JSON", help=TEMPLATE_HELP)
@click.option("--concurrency-limit", type=click.IntRange(min=0), help="Runs at once, at most.")
@click.option("--description", help="What it is for.")
@click.option("--paused", is_flag=True, help="Make it paused: nothing starts until it is resumed.")
@click.pass_obj
def create(
    app: App,
    name: str,
    type_: str,
    base_job_template: str | None,
    concurrency_limit: int | None,
    description: str | None,
    paused: bool,
) -> None:
    """Make a pool, with its `default` queue."""
    from headway.wire.work_pools import WorkPoolCreate

    given = json_argument(base_job_template, "--base-job-template") if base_job_template else None
    with app.client() as client:
        template = given if given is not None else _template_from_here(client, type_)
        pool = client.create_work_pool(
            WorkPoolCreate(
                name=name,
                type=type_,
                base_job_template=template,
                concurrency_limit=concurrency_limit,
                description=description,
                is_paused=paused,
            )
        )
    for warning in pool.warnings or ():
        app.warn(warning)
    hint = f"Start a worker with: headway worker start --pool {name}"
    app.show(pool, f"Created work pool '{name}' (type: {pool.type}).\nid: {pool.id}\n{hint}")


def _template_from_here(client: SyncClient, type_: str) -> dict[str, Any]:
    """The template of a driver that is installed beside this command, when the server does not know the type."""
    from headway.drivers.registry import DriverRegistry

    registry = DriverRegistry.installed()
    if type_ not in registry.types() or type_ in server_types(client):
        return {}
    return registry.template(type_)


def server_types(client: SyncClient) -> dict[str, Any]:
    """The worker types that the server knows, with their metadata."""
    return {type_: facts for package in client.worker_types().values() for type_, facts in package.items()}


@group.command("ls")
@click.pass_obj
def list_pools(app: App) -> None:
    """All pools: name, type, workers online, status, concurrency."""
    with app.client() as client:
        pools = client.read_work_pools()
        online = {pool.name: _online(client, pool.name) for pool in pools}
    app.show_table(
        [{**_facts(pool), "workers": online[pool.name]} for pool in pools],
        ("Name", "Type", "Workers", "Status", "Concurrency"),
        [(pool.name, pool.type, online[pool.name], status_of(pool), concurrency(pool)) for pool in pools],
        "There are no work pools yet. Make one with: headway work-pool create NAME --type process",
    )


def _facts(pool: WorkPool) -> dict[str, Any]:
    import msgspec

    facts: dict[str, Any] = msgspec.to_builtins(pool)
    return facts


def _online(client: SyncClient, pool: str) -> int:
    from headway.wire.filters import WorkerFilter, WorkerStatus, WorkerStatuses
    from headway.wire.workers import WorkerQuery

    online = WorkerQuery(workers=WorkerFilter(status=WorkerStatuses(any_=[WorkerStatus.ONLINE])))
    return len(client.read_workers(pool, online))


def status_of(pool: WorkPool) -> str | None:
    return "PAUSED" if pool.is_paused else pool.status


def concurrency(thing: Any) -> str:
    """Use of a pool's or queue's limit, e.g. "2 of 5"."""
    return "no limit" if thing.concurrency_limit is None else f"{thing.active_slots or 0} of {thing.concurrency_limit}"


@group.command()
@click.argument("name", type=NAME)
@click.pass_obj
def inspect(app: App, name: str) -> None:
    """Everything about a pool: type, limits, queues, workers, and the values of its template."""
    from headway.core.templates import resolve

    with app.client() as client:
        pool = client.read_work_pool(name)
        queues = client.read_work_queues(name)
        workers = client.read_workers(name)
    configuration = resolve(pool.base_job_template)
    head = block(
        ("Name", pool.name),
        ("Type", pool.type),
        ("id", pool.id),
        ("Status", status_of(pool)),
        ("Concurrency", concurrency(pool)),
        ("Description", pool.description),
        ("Created", pool.created),
        ("Work queues", [f"{queue.name} (priority {queue.priority})" for queue in queues]),
        ("Workers", [f"{worker.name} ({worker.status}, {ago(worker.last_heartbeat_time)})" for worker in workers]),
    )
    values = block(*((f"  {key}", _short(value)) for key, value in configuration.items())) or "  -"
    variables = (pool.base_job_template.get("variables") or {}).get("properties") or {}
    lines = [head, "Job configuration, filled from the template's defaults:", values]
    lines += ["Job variables a deployment or run may set:", f"  {', '.join(sorted(variables)) or 'any'}"]
    app.show(
        {**_facts(pool), "queues": queues, "workers": workers, "job_configuration": configuration},
        "\n".join(lines),
    )


@group.command()
@click.argument("name", type=NAME)
@click.option("--queue", "-q", help="One of its queues; without it all of them.")
@click.pass_obj
def backlog(app: App, name: str, queue: str | None) -> None:
    """What waits and runs in a pool, and how much more could: what an autoscaler looks at."""
    with app.client() as client:
        found = client.read_backlog(name, queue)
    oldest = found.oldest_seconds
    told = block(
        ("Waiting", found.waiting),
        ("Late", found.late),
        ("Oldest", "-" if oldest is None else f"due for {oldest:.0f} s"),
        ("Running", found.running),
        ("Free slots", "no limit" if found.slots_free is None else found.slots_free),
    )
    app.show(found, told)


def _short(value: Any) -> str:
    from headway.cli.app import to_json

    return value if isinstance(value, str) else to_json(value)


@group.command()
@click.argument("name", type=NAME)
@click.option("--type", "-t", "type_", help="Refused unless it is the pool's own: a type never changes.")
@click.option("--base-job-template", metavar="FILE|JSON", help=TEMPLATE_HELP)
@click.option("--concurrency-limit", type=click.IntRange(min=0), help="Runs at once, at most.")
@click.option("--description", help="What it is for.")
@click.pass_obj
def update(
    app: App,
    name: str,
    type_: str | None,
    base_job_template: str | None,
    concurrency_limit: int | None,
    description: str | None,
) -> None:
    """Change a pool."""
    changes: dict[str, Any] = {"type": type_, "concurrency_limit": concurrency_limit, "description": description}
    if base_job_template is not None:
        changes["base_job_template"] = json_argument(base_job_template, "--base-job-template")
    given = {key: value for key, value in changes.items() if value is not None}
    if not given:
        raise click.UsageError(
            "nothing to change; give --base-job-template, --concurrency-limit or --description",
            click.get_current_context(),
        )
    _change(app, name, f"Updated work pool '{name}': {', '.join(given)}.", **given)


def _change(app: App, name: str, said: str, **changes: Any) -> None:
    from headway.wire.work_pools import WorkPoolUpdate

    with app.client() as client:
        client.update_work_pool(name, WorkPoolUpdate(**changes))
        app.show(client.read_work_pool(name), said)


@group.command()
@click.argument("name", type=NAME)
@click.pass_obj
def pause(app: App, name: str) -> None:
    """Start nothing from this pool until it is resumed; what runs goes on."""
    _change(app, name, f"Paused work pool '{name}'. What runs goes on.", is_paused=True)


@group.command()
@click.argument("name", type=NAME)
@click.pass_obj
def resume(app: App, name: str) -> None:
    """Start runs from this pool again."""
    _change(app, name, f"Resumed work pool '{name}'.", is_paused=False)


@group.command("set-concurrency-limit")
@click.argument("name", type=NAME)
@click.argument("limit", type=click.IntRange(min=0))
@click.pass_obj
def set_concurrency_limit(app: App, name: str, limit: int) -> None:
    """Let at most LIMIT runs of the pool be under way at once."""
    _change(app, name, f"Work pool '{name}' now runs at most {limit} at once.", concurrency_limit=limit)


@group.command("clear-concurrency-limit")
@click.argument("name", type=NAME)
@click.pass_obj
def clear_concurrency_limit(app: App, name: str) -> None:
    """Take the pool's limit away."""
    _change(app, name, f"Work pool '{name}' has no concurrency limit now.", concurrency_limit=None)


@group.command()
@click.argument("name", type=NAME)
@click.option("--force", is_flag=True, help="Cancel its waiting and running runs first.")
@yes_option
@click.pass_obj
def delete(app: App, name: str, force: bool) -> None:
    """Delete a pool with its queues. Refused while runs wait or run, unless --force."""
    with app.client() as client:
        pool = client.read_work_pool(name)
        if force:
            app.note(f"Cancelling the runs of '{name}' and waiting until they have ended …")
        client.delete_work_pool(name, force=force)
    app.show({"deleted": pool.name, "id": pool.id}, f"Deleted work pool '{name}'.")


@group.command()
@click.argument("name", type=NAME)
@click.option(
    "--job-variable", "-j", "job_variables", multiple=True, metavar="KEY=VALUE", help="As a run would set it."
)
@click.pass_obj
def preview(app: App, name: str, job_variables: tuple[str, ...]) -> None:
    """What a worker would start for a run of this pool, rendered, secrets masked. Nothing is started."""
    from headway.cli.previews import rendered

    with app.client() as client:
        pool = client.read_work_pool(name)
        url = client.url
    given = pairs(job_variables, "--job-variable", pool.base_job_template.get("variables"))
    text, configuration = rendered(pool, given, api_url=url)
    app.show({"work_pool": pool.name, "type": pool.type, "configuration": configuration, "preview": text}, text)


__all__ = ["concurrency", "group", "server_types", "status_of"]
