"""Connections of the API's own: what they serve, what they refuse, what they hand over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from headway.server import http
from headway.server.api.answers import Request, Response
from headway.server.http import ApiConnection

pytestmark = pytest.mark.anyio


class Shared:
    """What uvicorn's ServerState would be."""

    def __init__(self) -> None:
        self.connections: set[Any] = set()
        self.tasks: set[Any] = set()
        self.total_requests = 0
        self.default_headers = [(b"server", b"test")]


class General(asyncio.Protocol):
    """Answers what it is handed with the bytes themselves."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(b"general:" + data)


class Site:
    """A listening server whose answers the test decides."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]], idle_seconds: float) -> None:
        self.shared = Shared()
        self.answer, self.idle_seconds = answer, idle_seconds
        self.port = 0

    def connection(self) -> ApiConnection:
        return ApiConnection(
            self.answer,
            General,
            self.shared,
            self.idle_seconds,
            patient=lambda path: path.endswith("/claim"),
            log_access=False,
        )

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def exchange(self, sent: bytes) -> bytes:
        """All that comes back until the server closes."""
        reader, writer = await self.open()
        writer.write(sent)
        found = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return found


@asynccontextmanager
async def site(answer: Callable[[Request], Awaitable[Response]], idle_seconds: float = 60.0) -> AsyncIterator[Site]:
    made = Site(answer, idle_seconds)
    server = await asyncio.get_running_loop().create_server(made.connection, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        for connection in list(made.shared.connections):
            connection.shutdown()
        server.close()


async def echo(request: Request) -> Response:
    said = f"{request.method} {request.path} {request.query} {len(request.body)}"
    return Response(200, {"content-type": "text/plain"}, said.encode())


def post(path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def test_requests_of_one_packet_are_answered_in_order_on_one_connection() -> None:
    async with site(echo) as server:
        two = post("/api/first", b"12") + post("/api/second?a=1", b"345", "Connection: close")
        found = await server.exchange(two)
    assert found.index(b"POST /first  2") < found.index(b"POST /second a=1 3")
    assert found.count(b"HTTP/1.1 200 OK") == 2
    assert found.count(b"connection: close") == 1
    assert not server.shared.tasks


async def test_a_body_may_come_in_pieces_and_in_chunks() -> None:
    async with site(echo) as server:
        reader, writer = await server.open()
        whole = post("/api/pieces", b"x" * 200_000)
        for start in range(0, len(whole), 50_000):
            writer.write(whole[start : start + 50_000])
            await writer.drain()
        assert b"200000" in await asyncio.wait_for(reader.readuntil(b"200000"), 60)
        writer.write(b"PUT /api/chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
        assert await asyncio.wait_for(reader.readuntil(b"PUT /chunks  7"), 60)
        writer.close()


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n",
        b"HEAD /api/health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS /api/flows/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nHost: x\r\nOrigin: http://elsewhere\r\n\r\n",
        b"GET /api/events/in HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        post("/api/flows/", b"", "Expect: 100-continue"),
    ],
)
async def test_what_is_no_plain_request_to_the_api_is_handed_over_whole(request_: bytes) -> None:
    async with site(echo) as server:
        reader, writer = await server.open()
        writer.write(request_[:10])
        await writer.drain()
        writer.write(request_[10:])
        found = await asyncio.wait_for(reader.readexactly(len(b"general:" + request_)), 60)
        writer.close()
    assert found == b"general:" + request_
    assert not server.shared.connections


async def test_a_connection_can_be_handed_over_after_it_has_served_the_api() -> None:
    async with site(echo) as server:
        reader, writer = await server.open()
        writer.write(post("/api/first", b"12"))
        await asyncio.wait_for(reader.readuntil(b"POST /first  2"), 60)
        page = b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n"
        writer.write(page)
        assert await asyncio.wait_for(reader.readexactly(len(page) + 8), 60) == b"general:" + page
        writer.close()


async def test_a_page_asked_for_behind_an_api_request_in_one_packet_closes_after_the_answer() -> None:
    async with site(echo) as server:
        found = await server.exchange(post("/api/first", b"12") + b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"POST /first  2" in found
    assert b"general" not in found


async def test_nonsense_is_refused_in_one_line() -> None:
    async with site(echo) as server:
        found = await server.exchange(b"what is this\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Invalid HTTP request" in found


async def test_a_head_or_a_body_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_BODY", 1000)
    async with site(echo) as server:
        endless = b"GET /api/health HTTP/1.1\r\nX: " + b"x" * (http.MAX_HEAD + 1)
        assert (await server.exchange(endless)).startswith(b"HTTP/1.1 431 ")
        assert (await server.exchange(post("/api/flows/", b"x" * 1001))).startswith(b"HTTP/1.1 413 ")


async def test_a_silent_connection_is_closed_and_one_that_waits_for_its_answer_is_not() -> None:
    gate = asyncio.Event()

    async def slowly(request: Request) -> Response:
        await gate.wait()
        return await echo(request)

    async with site(slowly, idle_seconds=0.05) as server:
        waiting, writer = await server.open()
        writer.write(post("/api/slow", b""))
        assert await server.exchange(b"") == b""  # opened later, silent, closed
        gate.set()
        assert b"POST /slow" in await asyncio.wait_for(waiting.read(), 60)  # answered, then silent, then closed
        writer.close()


async def test_shutting_down_finishes_what_is_under_way() -> None:
    asked, gate = asyncio.Event(), asyncio.Event()

    async def slowly(request: Request) -> Response:
        asked.set()
        await gate.wait()
        return await echo(request)

    async with site(slowly) as server:
        exchange = asyncio.ensure_future(server.exchange(post("/api/slow", b"")))
        await asyncio.wait_for(asked.wait(), 60)
        for connection in list(server.shared.connections):
            connection.shutdown()
        gate.set()
        assert b"connection: close\r\n\r\nPOST /slow" in await exchange


async def test_a_claim_whose_worker_hangs_up_is_cancelled() -> None:
    asked, cancelled = asyncio.Event(), asyncio.Event()

    async def for_ever(request: Request) -> Response:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    async with site(for_ever) as server:
        _, writer = await server.open()
        writer.write(post("/api/work_pools/p/claim", b"{}"))
        await asyncio.wait_for(asked.wait(), 60)
        writer.close()
        await asyncio.wait_for(cancelled.wait(), 60)
