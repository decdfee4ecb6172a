"""A whole server in this process for property tests: public routes, a clock that stands still, a reaper by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from headway.server.loops.reaper import Reaper
from headway.testing.clock import FrozenClock
from headway.testing.server import InProcessServer, in_process

__all__ = ["Plane", "opened_plane"]


class Plane:
    """`ask` answers (status, body); `together` asks several at once."""

    def __init__(self, runner: asyncio.Runner, server: InProcessServer) -> None:
        self._runner = runner
        self._server = server
        self.clock: FrozenClock = server.clock
        self._reaper = next(loop for loop in server.server._all_loops() if isinstance(loop, Reaper))

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        return self.together([(method, path, body, headers)])[0]

    def expect(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, value = self.ask(method, path, body, **headers)
        assert status < 300, f"{method} {path}: {status} {value}"
        return value

    def together(self, requests: list[tuple[str, str, Any, dict[str, str]]]) -> list[tuple[int, Any]]:
        async def all_of_them() -> list[tuple[int, Any]]:
            asked = [self._server.request(m, path, body, headers=headers) for m, path, body, headers in requests]
            return list(await asyncio.gather(*asked))

        return self._runner.run(all_of_them())

    def reap(self) -> None:
        self._runner.run(self._reaper.run_once())  # type: ignore[arg-type]

    def now(self) -> datetime:
        return self.clock.now()

    def pool(self, **fields: Any) -> str:
        """A new pool, apart from all others; its name."""
        name = f"pool-{uuid4().hex[:8]}"
        self.expect("POST", "/work_pools/", {"name": name, "type": "process", **fields})
        return name

    def worker(self, pool: str, name: str) -> str:
        body = {"type": "process", "name": name, "heartbeat_interval_seconds": 30}
        return str(self.expect("POST", f"/work_pools/{pool}/workers", body)["worker_id"])

    def deployment(self, pool: str, name: str, **fields: Any) -> str:
        flow = self.expect("POST", "/flows/", {"name": f"{pool}-{name}"})
        body = {"name": name, "flow_id": flow["id"], "work_pool_name": pool, "entrypoint": "f.py:f", **fields}
        return str(self.expect("POST", "/deployments/", body)["id"])


@contextmanager
def opened_plane(folder: Path) -> Iterator[Plane]:
    """A server on the folder's database (`headway.testing.databases`)."""
    with asyncio.Runner() as runner:
        opening = in_process(folder, FrozenClock())
        server = runner.run(opening.__aenter__())  # type: ignore[arg-type]
        try:
            yield Plane(runner, server)
        finally:
            runner.run(opening.__aexit__(None, None, None))  # type: ignore[arg-type]
