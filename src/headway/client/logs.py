"""Log lines."""

from __future__ import annotations

from headway.client.calls import Caller
from headway.wire.logs import Log, LogCreate, LogQuery

__all__ = ["LogCalls"]


class LogCalls(Caller):
    async def create_logs(self, logs: list[LogCreate]) -> None:
        await self.call("POST", "/logs/", body=logs)

    async def read_logs(self, query: LogQuery | None = None) -> list[Log]:
        return await self.call("POST", "/logs/filter", body=query or LogQuery(), reply=list[Log])
