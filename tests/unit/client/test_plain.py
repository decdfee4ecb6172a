"""Our own HTTP against a server that says, byte for byte, what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from headway.client.blocking import BlockingTransport, run
from headway.client.plain import PlainTransport
from headway.client.transport import Answer, Transport
from headway.core.errors import ServerUnreachable

Script = list[list[bytes]]
"""For each connection, what is said to each request on it; then it is closed. An empty answer closes it at once."""


class Scripted:
    """A server on a port of its own; `requests` is what it was sent, per connection."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.requests: list[list[bytes]] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard: list[bytes] = []
        self.requests.append(heard)
        for answer in self._script[len(self.requests) - 1]:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            size = next((int(x[15:]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length:")), 0)
            heard.append(head + await reader.readexactly(size))
            for piece in answer.split(b"|"):  # the pieces arrive one by one
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
        writer.close()


Asked = Callable[[Transport], Awaitable[list[Answer]]]
Talk = Callable[[Script, Asked], tuple[list[Answer], list[list[bytes]]]]


def awaited(script: Script, conversation: Asked) -> tuple[list[Answer], list[list[bytes]]]:
    """What is answered to a conversation on an event loop, and what the server was sent."""
    return asyncio.run(_talk(script, PlainTransport, conversation))


def blocking(script: Script, conversation: Asked) -> tuple[list[Answer], list[list[bytes]]]:
    """The same without one."""

    async def elsewhere(transport: Transport) -> list[Answer]:
        return await asyncio.to_thread(run, conversation(transport))

    return asyncio.run(_talk(script, BlockingTransport, elsewhere))


async def _talk(
    script: Script, made: Callable[[str, float], Transport], conversation: Asked
) -> tuple[list[Answer], list[list[bytes]]]:
    scripted = Scripted(script)
    async with await asyncio.start_server(scripted.handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = made(f"http://127.0.0.1:{port}/api", 30.0)
        try:
            return await conversation(transport), scripted.requests
        finally:
            await transport.close()


@pytest.fixture(params=[awaited, blocking], ids=["awaited", "blocking"])
def talk(request: pytest.FixtureRequest) -> Talk:
    made: Talk = request.param
    return made


def ask(times: int = 1) -> Asked:
    async def conversation(transport: Transport) -> list[Answer]:
        return [await transport.request("GET", "/things", None, {}, None) for _ in range(times)]

    return conversation


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_a_request_is_sent_whole_and_its_answer_is_understood(talk: Talk) -> None:
    async def conversation(transport: Transport) -> list[Answer]:
        query = {"name": "a b", "q": "x&y"}
        return [await transport.request("POST", "/a b/ü", query, {"X-Token": "t"}, b'{"x": 1}')]

    said = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nX-Two:  2 \r\ncontent-length: 4\r\n\r\nnull"
    answers, requests = talk([[said]], conversation)
    assert answers == [(201, {"content-type": "application/json", "x-two": "2", "content-length": "4"}, b"null")]
    lines = requests[0][0].split(b"\r\n")
    assert lines[0] == b"POST /api/a%20b/%C3%BC?name=a+b&q=x%26y HTTP/1.1"
    assert {b"X-Token: t", b"Content-Length: 8"} <= set(lines)
    assert lines[1].startswith(b"Host: 127.0.0.1:")
    assert requests[0][0].endswith(b'\r\n\r\n{"x": 1}')


@pytest.mark.parametrize(
    ("said", "status", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n",
            200,
            b"abcdefg",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r|\nab|c\r\n0\r|\nT: 1\r\n|\r\n", 200, b"abc"),
        (b"HTTP/1.1 2|00 OK\r\nContent-Length: 5\r|\n\r\nhe|llo", 200, b"hello"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the| end", 200, b"until the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 409 Conflict\r\nContent-Length: 1\r\n\r\nx", 409, b"x"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    ],
)
def test_every_framing_of_an_answer_is_understood_in_whatever_pieces_it_comes(
    talk: Talk, said: bytes, status: int, body: bytes
) -> None:
    answers, _ = talk([[said]], ask())
    assert [(a[0], a[2]) for a in answers] == [(status, body)]


def test_a_connection_is_kept_and_used_again(talk: Talk) -> None:
    answers, requests = talk([[OK, OK, OK]], ask(3))
    assert [a[2] for a in answers] == [b"ok"] * 3
    assert [len(heard) for heard in requests] == [3]


def test_a_kept_connection_that_the_server_has_closed_is_replaced_unnoticed(talk: Talk) -> None:
    answers, requests = talk([[OK, b""], [OK]], ask(2))
    assert [a[2] for a in answers] == [b"ok", b"ok"]
    assert [len(heard) for heard in requests] == [2, 1]


def test_a_server_that_asks_to_close_is_asked_anew(talk: Talk) -> None:
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    _, requests = talk([[closing], [OK]], ask(2))
    assert [len(heard) for heard in requests] == [1, 1]


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"SSH-2.0-x\r\n\r\n"])
def test_no_whole_answer_is_no_answer(talk: Talk, said: bytes) -> None:
    with pytest.raises(ServerUnreachable, match="No server answers"):
        talk([[said]], ask())


def test_requests_at_once_have_a_connection_each() -> None:
    async def conversation(transport: Transport) -> list[Answer]:
        return list(await asyncio.gather(*(transport.request("GET", "/x", None, {}, None) for _ in range(3))))

    answers, requests = awaited([[OK], [OK], [OK]], conversation)
    assert [a[0] for a in answers] == [200] * 3
    assert len(requests) == 3


def test_a_header_cannot_smuggle_another(talk: Talk) -> None:
    async def conversation(transport: Transport) -> list[Answer]:
        return [await transport.request("GET", "/x", None, {"A": "b\r\nC: d"}, None)]

    with pytest.raises(ServerUnreachable, match="line break"):
        talk([[OK]], conversation)
