"""Health, versions and collections."""

from __future__ import annotations

from typing import Any

from headway.client.calls import Caller

__all__ = ["AdminCalls"]


class AdminCalls(Caller):
    async def hello(self) -> str:
        return await self.call("GET", "/hello", reply=str)

    async def health(self) -> bool:
        return await self.call("GET", "/health", reply=bool)

    async def version(self) -> str:
        """The server's version, e.g. "3.9.1"."""
        return await self.call("GET", "/admin/version", reply=str)

    async def worker_types(self) -> dict[str, Any]:
        """Default job templates per worker type, grouped by package (the collections view)."""
        path = "/collections/views/aggregate-worker-metadata"
        return await self.call("GET", path, reply=dict[str, Any])
