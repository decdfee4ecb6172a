"""`headway server start` and `server status`."""

from __future__ import annotations

import gc
import json

import click

from headway.cli.app import App
from headway.cli.commands import Group
from headway.cli.tables import block
from headway.core.errors import StoreError

__all__ = ["group"]

DATABASE_PACKAGES = ("psycopg", "psycopg2")


@click.group(cls=Group)
def group() -> None:
    """The control plane."""


@group.command()
@click.option("--host", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (default 4200); 0 takes a free one.")
@click.option("--database-url", help="sqlite:///PATH; without it, the database of HEADWAY_HOME.")
@click.pass_obj
def start(app: App, host: str | None, port: int | None, database_url: str | None) -> None:
    """Run a server until it is told to stop. Its URL is printed once it answers."""
    gc.disable()  # nothing is garbage until the server answers, and looking for it is a tenth of its start
    from headway.core.profiles import find_variable
    from headway.core.settings import read_value
    from headway.server.main import serve, with_overrides

    app.warn_of_unknown_settings()
    if database_url is not None:
        database_url = read_value(find_variable("server.database_url"), database_url, "--database-url")
    settings = with_overrides(app.settings, host, port, database_url)

    def announce(url: str) -> None:
        if app.as_json:
            app.echo(json.dumps({"url": url, "database": _shown(settings.database_url)}))
            return
        base = url.removesuffix("/api")
        app.echo(f"Headway server is ready at {base}")
        app.echo(f"API: {url}\nDocs: {base}/docs\nDatabase: {_shown(settings.database_url)}")
        app.echo(f"Use it from elsewhere with: headway config set api_url {url}")

    try:
        serve(settings, announce)
        app.note("Headway server stopped.")
    except ModuleNotFoundError as error:
        if error.name not in DATABASE_PACKAGES:
            raise
        raise StoreError(
            f"The database {_shown(settings.database_url)} needs the package '{error.name}', which is not installed. "
            f"Install it with: pip install {error.name}"
        ) from error


def _shown(url: str) -> str:
    """A database URL without its password."""
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{credentials.partition(':')[0]}:********@{place}" if at else url


@group.command()
@click.pass_obj
def status(app: App) -> None:
    """Whether a server answers, and which one. Exits 1 if none does."""
    from headway.client.sync import SyncClient
    from headway.core.errors import ServerUnreachable
    from headway.core.server_lock import serving_url

    url = app.settings.api_url or serving_url(app.settings.home)
    if url is None:
        raise ServerUnreachable(
            f"No server runs on {app.settings.home}, and no API URL is set. Start one with: headway server start"
        )
    with SyncClient(url, settings=app.quick_settings) as client:
        facts = {"url": client.url, "healthy": client.health(), "version": client.version(), "ready": True}
        pools = client.read_work_pools()
    text = block(("Server", facts["url"]), ("Healthy", facts["healthy"]), ("API version", facts["version"]),
                 ("Work pools", len(pools)))  # fmt: skip
    app.show({**facts, "work_pools": len(pools)}, text)
