"""Plain HTTP/1.1 on asyncio alone: what a run's process and a worker use to reach an `http://` URL.

A run is a process of its own, so what its client costs is paid by every run: aiohttp's import is ten megabytes
and a third of a second, and each request a few milliseconds of a cold process. Here is only what an API of JSON
documents needs: connections that are kept and used one request at a time. URLs with `https://`, and machines
with proxies, are aiohttp's (`http.py`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping

from headway.client.http1 import CONNECT_SECONDS, Broken, Reading, Target, unreachable
from headway.client.transport import Answer

__all__ = ["PlainTransport"]

MOST_CONNECTIONS = 100


class PlainTransport:
    """Connections to one API URL (`http://host:port/api`)."""

    def __init__(self, url: str, timeout_seconds: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout_seconds
        self._target = Target(self.url)
        self._idle: deque[Connection] = deque()
        self._free = asyncio.Semaphore(MOST_CONNECTIONS)
        self._closed = False

    async def open(self) -> None:
        self._closed = False

    async def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Answer:
        message = self._target.message(method, path, query, headers, body)
        try:
            async with self._free, asyncio.timeout(self._timeout):
                return await self._exchange(message, bodiless=method == "HEAD")
        except (TimeoutError, OSError, Broken) as error:
            raise unreachable(self.url, error) from None

    async def _exchange(self, message: bytes, *, bodiless: bool) -> Answer:
        """Ask on a kept connection; the server may have closed it meanwhile, which a new one tells from silence."""
        while self._idle:
            kept = self._idle.pop()
            if kept.is_open:
                try:
                    return await self._ask(kept, message, bodiless)
                except Broken as error:
                    if not error.fresh:
                        raise
        return await self._ask(await self._connect(), message, bodiless)

    async def _ask(self, connection: Connection, message: bytes, bodiless: bool) -> Answer:
        try:
            answer = await connection.ask(message, bodiless)
        except BaseException:
            connection.close()
            raise
        if connection.is_open and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    async def _connect(self) -> Connection:
        async with asyncio.timeout(min(CONNECT_SECONDS, self._timeout)):
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(Connection, self._target.host, self._target.port)
            return connection


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiter: asyncio.Future[Answer] | None = None
        self._reading: Reading | None = None
        self._said_anything = False
        self._keep = True

    @property
    def is_open(self) -> bool:
        return self._keep and self._transport is not None and not self._transport.is_closing()

    async def ask(self, message: bytes, bodiless: bool) -> Answer:
        assert self._transport is not None
        self._reading, self._said_anything = Reading(bodiless), False
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(message)
        try:
            return await self._waiter
        finally:
            self._waiter = None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done() or self._reading is None:
            self._keep = False  # nobody has asked
            return
        self._said_anything = True
        self._buffer += data
        try:
            done = self._reading.advance(self._buffer)
        except ValueError as error:
            self._fail(str(error))
            return
        if done:
            self._finish(self._reading)

    def connection_lost(self, error: Exception | None) -> None:
        self._keep = False
        reading = self._reading
        if reading is not None and reading.until_end and self._waiter is not None and not self._waiter.done():
            reading.body = bytes(self._buffer)
            self._finish(reading)
        else:
            self._fail(str(error or "") or "the connection was closed")

    def _finish(self, reading: Reading) -> None:
        assert self._waiter is not None
        self._keep = self._keep and reading.keep and not self._buffer
        self._waiter.set_result((reading.status, reading.headers, reading.body))

    def _fail(self, reason: str) -> None:
        self._keep = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(Broken(reason, fresh=not self._said_anything))
