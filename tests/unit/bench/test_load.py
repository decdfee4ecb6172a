"""The load client: counts what was answered, comes back after a refusal, repeats on a closed connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from bench.load import Call, Failed, LoadClient, Reply, Script, spread


class Moody(BaseHTTPRequestHandler):
    """Refuses every third request, then closes; otherwise says how many it has answered."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).asked += 1
        refuses = self.asked % 3 == 0
        self.send_response(503 if refuses else 200)
        if refuses:
            self.send_header("Retry-After", "0")
            self.close_connection = True
        body = str(self.asked).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is written to the terminal."""


@pytest.fixture
def url() -> Iterator[str]:
    moody = type("MoodyOnce", (Moody,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), moody) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/api"
        server.shutdown()


def test_units_are_counted_and_refusals_are_repeated(url: str) -> None:
    seen: list[int] = []

    def script() -> Script:
        reply: Reply = yield Call("POST", "/anything", b"{}")
        seen.append(reply.status)
        return None

    said: list[str] = []
    figures = LoadClient(url, 2, script, said.append).run(seconds=30, warm_up=0, units=20)
    assert figures["units"] == 20
    assert set(seen) == {200}
    assert figures["retries"] >= 9
    assert figures["errors"] == {}
    assert said == ['{"at": "begin"}', '{"at": "end"}']


def test_a_unit_that_fails_is_an_error_and_counts_for_nothing(url: str) -> None:
    def script() -> Script:
        yield Call("POST", "/anything", b"{}")
        raise Failed("not what was asked for")

    figures = LoadClient(url, 1, script, lambda line: None).run(seconds=30, warm_up=0, units=4)
    assert figures["units"] == 0
    assert figures["errors"] == {"not what was asked for": 4}


def test_the_spread_of_nothing_is_nothing() -> None:
    assert spread([]) == {}
    assert spread([0.001, 0.002, 0.003]) == {"p50": 2, "p99": 3, "max": 3}
