"""With no API URL set, the server runs inside this process on the local SQLite file (DESIGN §2, §3).

If another process holds `$HEADWAY_HOME/server.lock` and has published its URL, that server is used instead.
After a fork the child opens its own server: connections must not cross a fork.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from headway.client.transport import Answer, Transport, transport_to
from headway.core.server_lock import serving_url
from headway.core.settings import Settings

__all__ = ["EmbeddedTransport", "transport_for"]


def transport_for(settings: Settings) -> Transport:
    """The transport for a home: the server that already runs there, else one inside this process."""
    url = serving_url(settings.home)
    if url is not None:
        return transport_to(url, settings.client.timeout_seconds)
    return EmbeddedTransport(settings)


class EmbeddedTransport:
    """Requests handed straight to the server's application, no sockets."""

    url = "embedded"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server: Any = None
        self._owner = 0

    async def open(self) -> None:
        if self._server is not None and self._owner == os.getpid():
            return
        from headway.server import app  # laziness is the point: it loads the whole server

        server = app.embedded(self._settings)
        await server.start(loops=False)
        self._server, self._owner = server, os.getpid()

    async def close(self) -> None:
        server, self._server = self._server, None
        if server is not None and self._owner == os.getpid():
            await server.stop()

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Answer:
        await self.open()
        lowered = {name.lower(): value for name, value in headers.items()}
        status, answered, content = await self._server.request(
            method, path, urlencode(query or {}), lowered, body or b""
        )
        return status, {name.lower(): value for name, value in dict(answered).items()}, content
