"""`headway worker-type ls`."""

from __future__ import annotations

import contextlib

import click

from headway.cli.app import App
from headway.cli.commands import Group

__all__ = ["group"]


@click.group(cls=Group)
def group() -> None:
    """Infrastructure types: one driver each."""


@group.command("ls")
@click.pass_obj
def list_types(app: App) -> None:
    """The types whose drivers are installed here, and those the server knows."""
    from headway.core.errors import DriverError, HeadwayError
    from headway.drivers.registry import DriverRegistry

    registry = DriverRegistry.installed()
    found: dict[str, dict[str, object]] = {}
    for name in registry.types():
        try:
            description = registry.load(name).description
        except DriverError as error:
            description = error.message
        found[name] = {"type": name, "installed_here": True, "known_to_server": False, "description": description}
    with contextlib.suppress(HeadwayError), app.client() as client:  # what is installed here needs no server
        for package in client.worker_types().values():
            for name, facts in package.items():
                own = {"type": name, "installed_here": False, "description": facts.get("description", "")}
                found.setdefault(name, own)["known_to_server"] = True
    types = [found[name] for name in sorted(found)]
    app.show_table(
        types,
        ("Type", "Installed here", "Known to server", "Description"),
        [(t["type"], t["installed_here"], t["known_to_server"], t["description"]) for t in types],
        "No drivers are installed.",
    )
