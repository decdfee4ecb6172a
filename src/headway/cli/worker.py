"""`headway worker start` and `worker ls`."""

from __future__ import annotations

import json

import click

from headway.cli.app import App
from headway.cli.commands import Group
from headway.cli.tables import ago, cell
from headway.cli.values import NAME

__all__ = ["group"]


@click.group(cls=Group)
def group() -> None:
    """The processes that take runs from a pool and start them."""


@group.command()
@click.option("--pool", "-p", required=True, type=NAME, help="The pool to serve.")
@click.option("--type", "-t", "type_", help="Infrastructure type; without it, the pool's.")
@click.option("--work-queue", "-q", "work_queues", multiple=True, type=NAME, help="Serve only this queue; repeatable.")
@click.option("--limit", "-l", type=click.IntRange(min=1), help="Runs at once, at most.")
@click.option("--name", "-n", type=NAME, help="Name of the worker; without it, one is made up.")
@click.option("--run-once", is_flag=True, help="Run what waits now, then stop.")
@click.pass_obj
def start(
    app: App,
    pool: str,
    type_: str | None,
    work_queues: tuple[str, ...],
    limit: int | None,
    name: str | None,
    run_once: bool,
) -> int:
    """Run a worker until it is told to stop: the first Ctrl-C drains, the second stops the runs."""
    from headway.worker.main import WorkerOptions, run_worker

    app.warn_of_unknown_settings()
    options = WorkerOptions(pool=pool, type=type_, name=name, work_queues=work_queues, limit=limit, run_once=run_once)
    say = (lambda text: app.echo(json.dumps({"message": text}))) if app.as_json else None
    return run_worker(options, settings=app.settings, say=say)


@group.command("ls")
@click.option("--pool", "-p", required=True, type=NAME, help="The pool they serve.")
@click.pass_obj
def list_workers(app: App, pool: str) -> None:
    """The workers of a pool, last heard first."""
    with app.client() as client:
        workers = client.read_workers(pool)
    app.show_table(
        workers,
        ("Name", "Type", "Status", "Queues", "Runs", "Last heartbeat"),
        [
            (
                worker.name,
                worker.type,
                worker.status,
                cell(worker.work_queues) if worker.work_queues else "all",
                f"{len(worker.flow_run_ids)} of {worker.limit or 'any'}",
                ago(worker.last_heartbeat_time),
            )
            for worker in workers
        ],
        f"Work pool '{pool}' has no workers. Start one with: headway worker start --pool {pool}",
    )
