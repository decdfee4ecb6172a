"""`headway version`."""

from __future__ import annotations

import platform

import click

from headway.cli.app import App
from headway.cli.commands import Command
from headway.cli.tables import block

__all__ = ["version"]


@click.command(cls=Command)
@click.pass_obj
def version(app: App) -> None:
    """Versions of this program, of Python, and of the API this program talks to."""
    from headway.core.server_lock import serving_url
    from headway.version import __version__

    url = app.settings.api_url or serving_url(app.settings.home)
    facts = {
        "version": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "home": str(app.settings.home),
        "profile": app.settings.profile,
        "api_url": url,
    }
    text = block(
        ("Headway", facts["version"]),
        ("Python", facts["python"]),
        ("Platform", facts["platform"]),
        ("Home", facts["home"]),
        ("Profile", facts["profile"]),
        ("Server", url or "inside this process (no API URL is set)"),
    )
    app.show(facts, text)
