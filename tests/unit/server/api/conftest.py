"""A whole server in this process, asked by plain requests, on a clock that stands still."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from headway.core.settings import ServerSettings, Settings
from headway.server.app import Server, create_app
from headway.testing.clock import FrozenClock
from headway.testing.databases import url_of


@dataclasses.dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: Any


class Asker:
    """`asker.post("/work_pools/", {...})` → Reply."""

    def __init__(self, server: Server, runner: asyncio.Runner, clock: FrozenClock) -> None:
        self.server, self._runner, self.clock = server, runner, clock

    def run(self, awaitable: Any) -> Any:
        async def awaited() -> Any:
            return await awaitable

        return self._runner.run(awaited())

    def ask(
        self, method: str, path: str, body: Any = None, query: str = "", headers: Mapping[str, str] | None = None
    ) -> Reply:
        raw = b"" if body is None else json.dumps(body).encode()
        path, _, more = path.partition("?")
        status, answered, content = self.run(self.server.request(method, path, query or more, headers or {}, raw))
        is_json = answered.get("content-type", "application/json") == "application/json"
        return Reply(status, answered, json.loads(content) if content and is_json else content.decode() or None)

    def get(self, path: str) -> Reply:
        return self.ask("GET", path)

    def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        return self.ask("POST", path, {} if body is None else body, headers=headers)

    def patch(self, path: str, body: Any) -> Reply:
        return self.ask("PATCH", path, body)

    def delete(self, path: str, query: str = "") -> Reply:
        return self.ask("DELETE", path, query=query)


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    clock = FrozenClock()
    with asyncio.Runner() as runner:
        settings = Settings(home=tmp_path, server=ServerSettings(database_url=url_of(tmp_path)))
        server = create_app(settings, clock)
        runner.run(server.start(loops=False))
        yield Asker(server, runner, clock)
        runner.run(server.stop())
