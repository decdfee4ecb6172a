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
from urllib.parse import quote, urlencode, urlsplit

from headway.client.transport import Answer
from headway.core.errors import ServerUnreachable

__all__ = ["PlainTransport"]

CONNECT_SECONDS = 10.0
LONGEST_HEAD = 64 * 1024
MOST_CONNECTIONS = 100
BODILESS = (204, 304)


class Broken(Exception):
    """The connection ended. `fresh`: before the server has said anything, so it may never have seen the request."""

    def __init__(self, reason: str, *, fresh: bool) -> None:
        super().__init__(reason)
        self.fresh = fresh


class PlainTransport:
    """Connections to one API URL (`http://host:port/api`)."""

    def __init__(self, url: str, timeout_seconds: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout_seconds
        parts = urlsplit(self.url)
        self._host, self._port, self._path = parts.hostname or "", parts.port or 80, parts.path
        self._authority = parts.netloc.rpartition("@")[2]
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
        message = self._message(method, path, query, headers, body)
        try:
            async with self._free, asyncio.timeout(self._timeout):
                return await self._exchange(message, bodiless=method == "HEAD")
        except (TimeoutError, OSError, Broken) as error:
            raise ServerUnreachable(
                f"No server answers at {self.url}: {_reason(error)}. "
                "Start one (headway server start) or set HEADWAY_API_URL."
            ) from None

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
            _, connection = await loop.create_connection(Connection, self._host, self._port)
            return connection

    def _message(
        self, method: str, path: str, query: Mapping[str, str] | None, headers: Mapping[str, str], body: bytes | None
    ) -> bytes:
        target = quote(self._path + path, safe="/%:@!$&'()*+,;=~")
        if query:
            target = f"{target}?{urlencode(query)}"
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        elif method not in ("GET", "HEAD"):
            lines.append("Content-Length: 0")
        if any("\r" in line or "\n" in line for line in lines):
            raise ServerUnreachable(f"A request to {self.url} cannot be sent: a header has a line break in it.")
        return "\r\n".join([*lines, "", ""]).encode("utf-8") + (body or b"")


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


class Reading:
    """An answer while it arrives (RFC 9112 §6). `advance` takes what is whole out of the buffer."""

    __slots__ = ("_bodiless", "_left", "_pieces", "body", "headers", "keep", "status", "until_end")

    def __init__(self, bodiless: bool) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.keep = True
        self.until_end = False
        self._bodiless = bodiless
        self._left: int | None = None
        self._pieces: list[bytes] | None = None

    def advance(self, buffer: bytearray) -> bool:
        """Whether the answer is whole. Raises ValueError for what is no HTTP."""
        while not self.status:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(buffer) > LONGEST_HEAD:
                    raise ValueError("what answers there is no HTTP server")
                return False
            head = bytes(buffer[:end]).decode("latin-1").split("\r\n")
            del buffer[: end + 4]
            self._begin(head)
        if self._pieces is not None:
            return self._chunks(buffer)
        if self._left is None or len(buffer) < self._left:
            return False
        self.body = bytes(buffer[: self._left])
        del buffer[: self._left]
        return True

    def _begin(self, head: list[str]) -> None:
        version, _, rest = head[0].partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise ValueError("what answers there is no HTTP server")
        status = int(rest[:3])
        if status < 200:
            return  # "100 Continue": the answer is still to come
        for line in head[1:]:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self.status = status
        self.keep = version != "HTTP/1.0" and self.headers.get("connection", "").lower() != "close"
        if self._bodiless or status in BODILESS:
            self._left = 0
        elif "chunked" in self.headers.get("transfer-encoding", "").lower():
            self._pieces = []
        elif "content-length" in self.headers:
            self._left = int(self.headers["content-length"])
        else:
            self.until_end, self.keep = True, False

    def _chunks(self, buffer: bytearray) -> bool:
        assert self._pieces is not None
        while (line := buffer.find(b"\r\n")) >= 0:
            size = int(buffer[:line].partition(b";")[0], 16)
            if size == 0:
                end = buffer.find(b"\r\n\r\n", line)  # after trailers, if there are any
                if end < 0:
                    return False
                del buffer[: end + 4]
                self.body = b"".join(self._pieces)
                return True
            if len(buffer) < line + 2 + size + 2:
                return False
            self._pieces.append(bytes(buffer[line + 2 : line + 2 + size]))
            del buffer[: line + 2 + size + 2]
        return False


def _reason(error: BaseException) -> str:
    """Why nobody answered, in the system's words alone; the URL is named already."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError) or "Multiple exceptions" in str(error):
        return "connection refused"
    if type(error).__name__ == "gaierror":
        return "the host's name is not known"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
