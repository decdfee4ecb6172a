"""HTTP/1.1 for the API, without the layers a general web server needs.

One object per connection: httptools parses, the API answers, one write sends. What is not a plain request to the
API (pages, preflights of browsers, upgrades, `Expect`) is handed over, with the whole connection, to the general
server's protocol, which serves the same API through ASGI. Why it is worth having: docs/explanation/performance.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol

import httptools

from headway.server.api.answers import Answer, Request, Response

__all__ = ["BASE", "MAX_BODY", "MAX_HEAD", "ApiConnection", "General", "Shared"]

BASE = b"/api/"
MAX_HEAD = 64 * 1024
"""Bytes of a request line and its headers; more is answered with 431."""
MAX_BODY = 256 * 1024 * 1024
"""Bytes of a request's body; more is answered with 413."""
_MAX_QUEUED = 32
_PLAIN = frozenset({b"GET", b"POST", b"PUT", b"PATCH", b"DELETE"})
_GENERAL = frozenset({"origin", "upgrade", "expect"})

access_log = logging.getLogger("uvicorn.access")


class General(Protocol):
    """The protocol that takes over connections; asyncio's interface."""

    def connection_made(self, transport: Any) -> None: ...

    def data_received(self, data: bytes) -> None: ...


class Shared(Protocol):
    """What all connections of a server share; uvicorn's ServerState."""

    connections: set[Any]
    tasks: set[Any]
    total_requests: int
    default_headers: list[tuple[bytes, bytes]]


class ApiConnection(asyncio.Protocol):
    """One connection. Requests are answered in order, the next one is begun when the last one is sent.

    Args:
        answer: the API. It never raises.
        general: makes the protocol that takes over.
        idle_seconds: silence after which a connection without a request under way is closed.
        patient: whether a request's client may hang up while it waits; then its task is cancelled.
    """

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Response]],
        general: Callable[[], General],
        shared: Shared,
        idle_seconds: float,
        patient: Callable[[str], bool],
        log_access: bool,
    ) -> None:
        self._answer = answer
        self._general = general
        self._shared = shared
        self._idle_seconds = idle_seconds
        self._patient = patient
        self._log_access = log_access
        self._loop = asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._now: Request | None = None
        self._closing = False
        self._writable: asyncio.Future[None] | None = None
        self._heard = self._loop.time()
        self._paused = False
        self._raw = b""  # since the beginning of the request whose head is not complete yet, to hand it over
        self._in_body = self._leaves = False
        self._begun, self._aligned = 0, True

    # --- asyncio's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._shared.connections.add(self)
        self._timer = self._loop.call_later(self._idle_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._shared.connections.discard(self)
        self._timer.cancel()
        self._waiting.clear()
        self.resume_writing()
        if self._task is not None and self._now is not None and self._patient(self._now.path):
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if self._closing:
            return
        if self._in_body:
            self._begun = 1
        else:
            self._begun = 1 if self._raw else 0
            self._raw += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._leaves = True
        except httptools.HttpParserError as error:
            if not self._leaves:
                self._refuse(400, f"Invalid HTTP request: {error.__context__ or error}")
        if self._leaves:
            self._leave()
        elif len(self._raw) > MAX_HEAD:
            self._refuse(431, f"The request's head is longer than {MAX_HEAD} bytes.")

    def eof_received(self) -> None:
        """The client will send no more; asyncio closes once what is written has been sent."""

    def pause_writing(self) -> None:
        self._writable = self._writable or self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def shutdown(self) -> None:
        """The server ends: finish what is under way, begin nothing (called by uvicorn's Server)."""
        self._closing = True
        self._waiting.clear()
        if self._task is None:
            self._transport.close()

    def _look(self) -> None:
        """Close a silent connection. One timer per connection, not one per request."""
        now = self._loop.time()
        if self._task is not None:
            self._heard = now
        left = self._heard + self._idle_seconds - now
        if left <= 0:
            self._transport.close()
        else:
            self._timer = self._loop.call_later(left, self._look)

    # --- httptools' side ---

    def on_message_begin(self) -> None:
        self._begun += 1
        self._aligned = self._begun == 1  # then `_raw` begins with this request
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: bytes = b""
        self._more: list[bytes] = []
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = _lower(name), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        plain = self._url.startswith(BASE) and self._parser.get_method() in _PLAIN
        if not plain or not _GENERAL.isdisjoint(self._headers):
            self._leaves = True
        elif not self._leaves:
            self._raw, self._in_body = b"", True

    def on_body(self, body: bytes) -> None:
        if self._leaves:
            return
        self._size += len(body)
        if self._size > MAX_BODY:
            self._refuse(413, f"The request's body is longer than {MAX_BODY} bytes.")
        elif self._body:
            self._more.append(body)
        else:
            self._body = body

    def on_message_complete(self) -> None:
        self._in_body = False
        if self._leaves or self._closing:
            return
        target, _, query = self._url.partition(b"?")
        body = b"".join([self._body, *self._more]) if self._more else self._body
        method = self._parser.get_method().decode("latin-1")
        path = target[len(BASE) - 1 :].decode("latin-1")
        request = Request(method, path, query.decode("latin-1"), self._headers, body)
        self._waiting.append((request, self._parser.should_keep_alive()))
        if self._task is None:
            self._begin()
        elif len(self._waiting) >= _MAX_QUEUED and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    # --- answering ---

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._serve())
        self._shared.tasks.add(self._task)

    async def _serve(self) -> None:
        task = self._task
        try:
            while self._waiting and await self._serve_one():
                pass
        finally:
            self._shared.tasks.discard(task)
            self._task = self._now = None
            if self._closing:
                self._transport.close()

    async def _serve_one(self) -> bool:
        """Answer the next request; whether the connection stays."""
        self._now, stays = self._waiting.popleft()
        response = await self._answer(self._now)
        if self._transport.is_closing():
            return False
        self._shared.total_requests += 1
        self._closing = self._closing or not stays
        self._send(response, close=self._closing)
        if self._writable is not None:
            await self._writable
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return not self._closing

    def _send(self, response: Response, *, close: bool) -> None:
        lines = [_status_line(response.status), *(b"%b: %b\r\n" % pair for pair in self._shared.default_headers)]
        for name, value in response.headers.items():
            lines.append(f"{name}: {value}\r\n".encode("latin-1"))
        if response.status != HTTPStatus.NO_CONTENT:
            lines.append(b"content-length: %d\r\n" % len(response.body))
        lines.append(b"connection: close\r\n\r\n" if close else b"\r\n")
        lines.append(response.body)
        self._transport.write(b"".join(lines))
        if self._log_access and self._now is not None:
            _log_access(self._now, self._transport.get_extra_info("peername"), response.status)

    def _refuse(self, status: int, detail: str) -> None:
        """Answer what cannot be read, and say goodbye."""
        if self._closing:
            return
        self._closing = True
        self._raw = b""
        if self._task is None:  # or the answer under way would come after this one
            self._send(Answer(status, {"detail": detail}).response(), close=True)
            self._transport.close()

    def _leave(self) -> None:
        """Hand the connection over, with the request that is not ours."""
        if self._task is not None or not self._aligned:
            # Behind others of one packet: its beginning is not known. A client may ask again on a new connection.
            self._closing = True
            if self._task is None:
                self._transport.close()
            return
        raw, self._raw = self._raw, b""
        self._closing = True
        self._timer.cancel()
        self._shared.connections.discard(self)
        taking = self._general()
        self._transport.set_protocol(taking)  # type: ignore[arg-type]
        taking.connection_made(self._transport)
        taking.data_received(raw)


@lru_cache(maxsize=256)
def _lower(name: bytes) -> str:
    return name.decode("latin-1").lower()


@lru_cache(maxsize=128)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


def _log_access(request: Request, peer: tuple[Any, ...], status: int) -> None:
    target = BASE.decode() + request.path[1:] + ("?" + request.query if request.query else "")
    # The arguments are those that uvicorn's formatter of this logger takes apart.
    access_log.info('%s - "%s %s HTTP/%s" %d', f"{peer[0]}:{peer[1]}", request.method, target, "1.1", status)
