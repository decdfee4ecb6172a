"""A whole server in this process, on a database of its own, spoken to through its HTTP face without a socket.

async with in_process(tmp_path) as server:
    status, flow = await server.request("POST", "/flows/", {"name": "etl"})
"""

from __future__ import annotations

import json as jsonlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from headway.core.settings import ServerSettings, Settings
from headway.server.api.routing import Request
from headway.server.app import Server, create_app
from headway.testing.clock import FrozenClock
from headway.testing.databases import url_of

__all__ = ["InProcessServer", "in_process"]


class InProcessServer:
    """`server` is the wired application; `clock` the one it was given, frozen unless said otherwise."""

    def __init__(self, server: Server, clock: FrozenClock) -> None:
        self.server = server
        self.clock = clock

    async def request(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Status and decoded body of one request; text that is not JSON comes back as text, nothing as None."""
        body = b"" if json is None else jsonlib.dumps(json).encode()
        request = Request(method, path, urlencode(query or {}), headers or {}, body)
        response = await self.server.api.handle(request)
        if response.headers.get("content-type") != "application/json":
            return response.status, response.body.decode() or None
        return response.status, jsonlib.loads(response.body)

    async def expect(self, status: int, method: str, path: str, json: Any = None, **more: Any) -> Any:
        """The decoded body of a request that is answered with `status`; AssertionError shows any other answer."""
        answered, value = await self.request(method, path, json, **more)
        assert answered == status, f"{method} {path}: {answered}, not {status}: {value}"
        return value


@asynccontextmanager
async def in_process(
    folder: Path, clock: FrozenClock | None = None, *, loops: bool = False, **server_settings: Any
) -> AsyncIterator[InProcessServer]:
    """A started server on the folder's database (`databases.url_of`); its loops stand still unless `loops`."""
    ours = clock or FrozenClock()
    settings = Settings(home=folder, server=ServerSettings(**{"database_url": url_of(folder), **server_settings}))
    server = create_app(settings, ours)
    await server.start(loops=loops)
    try:
        yield InProcessServer(server, ours)
    finally:
        await server.stop()
