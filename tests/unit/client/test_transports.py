"""Which transport a client gets, and what an address that leads nowhere says."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from headway.client.client import open_transport
from headway.client.embedded import EmbeddedTransport
from headway.client.http import HttpTransport
from headway.client.plain import PlainTransport
from headway.client.transport import transport_to
from headway.core.errors import ServerUnreachable
from headway.core.server_lock import ServerLock
from headway.core.settings import Settings


def test_a_url_means_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = open_transport(Settings(home=tmp_path, api_url="http://one/api"))
    assert isinstance(made, PlainTransport)
    assert made.url == "http://one/api"
    assert open_transport(Settings(home=tmp_path, api_url="http://one/api"), "http://two/api/").url == "http://two/api"


def test_no_url_means_the_server_inside_this_process(tmp_path: Path) -> None:
    assert isinstance(open_transport(Settings(home=tmp_path)), EmbeddedTransport)


def test_a_server_that_holds_the_home_is_used(tmp_path: Path) -> None:
    lock = ServerLock(tmp_path)
    lock.acquire()
    try:
        lock.publish("http://127.0.0.1:9/api")
        assert open_transport(Settings(home=tmp_path)).url == "http://127.0.0.1:9/api"
    finally:
        lock.release()
    assert isinstance(open_transport(Settings(home=tmp_path)), EmbeddedTransport)


@pytest.mark.parametrize("url", ["https://one/api", "http://ada:secret@one/api", "http://one:port/api", "nonsense"])
def test_what_is_more_than_plain_http_goes_through_the_library(tmp_path: Path, url: str) -> None:
    assert isinstance(open_transport(Settings(home=tmp_path, api_url=url)), HttpTransport)


def test_a_machine_with_a_proxy_uses_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert isinstance(open_transport(Settings(home=tmp_path, api_url="http://one/api")), HttpTransport)


def unreachable(url: str) -> str:
    async def run() -> None:
        transport = transport_to(url, 5.0)
        try:
            await transport.request("GET", "/health", None, {}, None)
        finally:
            await transport.close()

    with pytest.raises(ServerUnreachable) as caught:
        asyncio.run(run())
    return str(caught.value)


def test_nobody_listening_is_one_line_with_the_remedy() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    message = unreachable(f"http://127.0.0.1:{port}/api")
    assert f"No server answers at http://127.0.0.1:{port}/api" in message
    assert "headway server start" in message
    assert "\n" not in message


def test_a_url_that_is_none_is_said() -> None:
    assert "HEADWAY_API_URL" in unreachable("http://:x/api")


def test_the_embedded_server_answers_and_can_be_opened_again(tmp_path: Path) -> None:
    async def run() -> list[int]:
        transport = EmbeddedTransport(Settings(home=tmp_path))
        statuses = []
        for _ in range(2):
            await transport.open()
            status, headers, body = await transport.request("GET", "/health", None, {}, None)
            statuses.append(status)
            assert body == b"true"
            assert headers["content-type"].startswith("application/json")
            await transport.close()
        return statuses

    assert asyncio.run(run()) == [200, 200]


def test_a_portal_runs_coroutines_for_sync_code_and_stops_twice() -> None:
    from headway.client.portal import Portal

    portal = Portal("test")
    portal.stop()
    portal.start()
    portal.start()
    assert portal.call(asyncio.sleep(0, 5)) == 5

    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        portal.call(fail())
    waiting = portal.submit(asyncio.sleep(600))
    portal.stop()
    assert waiting.cancelled()
    portal.stop()
