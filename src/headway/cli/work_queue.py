"""`headway work-queue …`."""

from __future__ import annotations

from typing import Any

import click

from headway.cli.app import App
from headway.cli.commands import Group
from headway.cli.confirming import yes_option
from headway.cli.tables import ago, block
from headway.cli.values import NAME
from headway.cli.work_pool import concurrency
from headway.core.errors import Conflict

__all__ = ["group"]

pool_option = click.option("--pool", "-p", required=True, type=NAME, help="The pool the queue is in.")


@click.group(cls=Group)
def group() -> None:
    """The lines inside a pool; the one with the smallest priority is served first."""


@group.command()
@click.argument("name", type=NAME)
@pool_option
@click.option("--priority", type=click.IntRange(min=0), help="1 is served before 2, and 0 before 1.")
@click.option("--limit", type=click.IntRange(min=0), help="Runs of this queue at once, at most.")
@click.option("--description", help="What it is for.")
@click.pass_obj
def create(app: App, name: str, pool: str, priority: int | None, limit: int | None, description: str | None) -> None:
    """Make a queue. For the `default` queue, which every pool has, it changes that one."""
    from headway.wire.work_queues import WorkQueueCreate

    with app.client() as client:
        body = WorkQueueCreate(name=name, priority=priority, concurrency_limit=limit, description=description)
        try:
            queue = client.create_work_queue(pool, body)
            said = f"Created work queue '{name}' in work pool '{pool}'.\nid: {queue.id}"
        except Conflict:
            if name != "default":
                raise
            changes = {"priority": priority, "concurrency_limit": limit, "description": description}
            queue = _update(client, pool, name, {key: value for key, value in changes.items() if value is not None})
            said = f"Work queue 'default' was made with work pool '{pool}'; it has been updated."
    app.show(queue, f"{said}\n{queue.served_order}")


def _update(client: Any, pool: str, name: str, changes: dict[str, Any]) -> Any:
    from headway.wire.work_queues import WorkQueueUpdate

    if changes:
        client.update_work_queue(pool, name, WorkQueueUpdate(**changes))
    return client.read_work_queue(pool, changes.get("name", name))


@group.command("ls")
@pool_option
@click.pass_obj
def list_queues(app: App, pool: str) -> None:
    """The queues of a pool, in the order they are served."""
    with app.client() as client:
        queues = client.read_work_queues(pool)
    app.show_table(
        queues,
        ("Name", "Priority", "Status", "Concurrency", "Last polled"),
        [(q.name, q.priority, q.status, concurrency(q), ago(q.last_polled)) for q in queues],
        f"Work pool '{pool}' has no queues.",
    )


@group.command()
@click.argument("name", type=NAME)
@pool_option
@click.pass_obj
def inspect(app: App, name: str, pool: str) -> None:
    """Everything about a queue."""
    with app.client() as client:
        queue = client.read_work_queue(pool, name)
    text = block(
        ("Name", queue.name),
        ("Work pool", pool),
        ("id", queue.id),
        ("Priority", queue.priority),
        ("Status", queue.status),
        ("Concurrency", concurrency(queue)),
        ("Last polled", ago(queue.last_polled)),
        ("Description", queue.description or None),
    )
    app.show(queue, f"{text}\n{queue.served_order}")


@group.command()
@click.argument("name", type=NAME)
@pool_option
@click.option("--priority", type=click.IntRange(min=0), help="1 is served before 2, and 0 before 1.")
@click.option("--limit", type=click.IntRange(min=0), help="Runs of this queue at once, at most.")
@click.option("--description", help="What it is for.")
@click.option("--name", "new_name", type=NAME, help="Another name.")
@click.pass_obj
def update(
    app: App,
    name: str,
    pool: str,
    priority: int | None,
    limit: int | None,
    description: str | None,
    new_name: str | None,
) -> None:
    """Change a queue."""
    given = {"priority": priority, "concurrency_limit": limit, "description": description, "name": new_name}
    changes = {key: value for key, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError(
            "nothing to change; give --priority, --limit, --description or --name", click.get_current_context()
        )
    _change(app, name, pool, f"Updated work queue '{name}': {', '.join(changes)}.", changes)


def _change(app: App, name: str, pool: str, said: str, changes: dict[str, Any]) -> None:
    with app.client() as client:
        queue = _update(client, pool, name, changes)
    order = f"\n{queue.served_order}" if "priority" in changes else ""
    app.show(queue, f"{said}{order}")


@group.command()
@click.argument("name", type=NAME)
@pool_option
@click.pass_obj
def pause(app: App, name: str, pool: str) -> None:
    """Start nothing from this queue until it is resumed; what runs goes on."""
    _change(app, name, pool, f"Paused work queue '{name}'. What runs goes on.", {"is_paused": True})


@group.command()
@click.argument("name", type=NAME)
@pool_option
@click.pass_obj
def resume(app: App, name: str, pool: str) -> None:
    """Start runs from this queue again."""
    _change(app, name, pool, f"Resumed work queue '{name}'.", {"is_paused": False})


@group.command("set-concurrency-limit")
@click.argument("name", type=NAME)
@click.argument("limit", type=click.IntRange(min=0))
@pool_option
@click.pass_obj
def set_concurrency_limit(app: App, name: str, limit: int, pool: str) -> None:
    """Let at most LIMIT runs of the queue be under way at once."""
    _change(app, name, pool, f"Work queue '{name}' now runs at most {limit} at once.", {"concurrency_limit": limit})


@group.command("clear-concurrency-limit")
@click.argument("name", type=NAME)
@pool_option
@click.pass_obj
def clear_concurrency_limit(app: App, name: str, pool: str) -> None:
    """Take the queue's limit away."""
    _change(app, name, pool, f"Work queue '{name}' has no concurrency limit now.", {"concurrency_limit": None})


@group.command()
@click.argument("name", type=NAME)
@pool_option
@yes_option
@click.pass_obj
def delete(app: App, name: str, pool: str) -> None:
    """Delete a queue; what waits in it moves to the pool's default queue."""
    with app.client() as client:
        queue = client.read_work_queue(pool, name)
        client.delete_work_queue(pool, name)
    said = f"Deleted work queue '{name}'. What waited in it waits in the pool's default queue now."
    app.show({"deleted": queue.name, "id": queue.id, "work_pool": pool}, said)
