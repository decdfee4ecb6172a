"""The tree's first level: every noun with its one-line help, each loaded only when it is called."""

from __future__ import annotations

import click

from headway.cli.commands import LazyGroup
from headway.version import __version__

__all__ = ["NOUNS", "root"]

NOUNS = {
    "server": ("headway.cli.server:group", "Start the control plane, or ask how it is."),
    "work-pool": ("headway.cli.work_pool:group", "Where runs of one infrastructure type wait."),
    "work-queue": ("headway.cli.work_queue:group", "The lines inside a pool."),
    "worker": ("headway.cli.worker:group", "The processes that start runs."),
    "worker-type": ("headway.cli.worker_type:group", "Which infrastructure types there are."),
    "deploy": ("headway.cli.deploy:deploy", "Make a deployment from a flow in a file."),
    "deployment": ("headway.cli.deployment:group", "Flows with a schedule and a pool to run in."),
    "flow-run": ("headway.cli.flow_run:group", "What ran, what runs and what waits."),
    "config": ("headway.cli.config:group", "Settings: where they come from, and changing them."),
    "version": ("headway.cli.version:version", "Versions of this program and of the server."),
}


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(__version__)
        context.exit()


@click.group(cls=LazyGroup, lazy=NOUNS)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show it.")
def root() -> None:
    """Headway runs Python workflows on infrastructure you already have."""
