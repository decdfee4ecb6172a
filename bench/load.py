"""The load client: one process, many keep-alive connections, as little work per request as Python can do.

It runs one script of `bench.scripts` on each connection; `bench.client` is the program. A script is a generator: it
yields a `Call`, is sent the `Reply`, and returns when it has done one unit of work; then it is started again. Sockets
are blocking and watched by one epoll loop, replies are parsed by httptools, so that the client costs a small part of
what the server does. The same client drives every server.

A 503 or 429 is repeated after a back-off (Retry-After, or 0.5 s doubling), as both systems' own clients do; the
time counts as latency.
"""

from __future__ import annotations

import heapq
import itertools
import select
import socket
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httptools

TRIES = 8
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
REFUSED = (429, 503)


class Call(NamedTuple):
    """One request; `path` is below the API's base."""

    method: str
    path: str
    body: bytes = b""


class Reply(NamedTuple):
    status: int
    body: bytes


class Failed(Exception):
    """The unit of work failed; counted as an error, by message."""


Script = Generator[Call, Reply, "int | None"]
"""Returns how many things it has done; None is one."""


@dataclass
class Tally:
    """What has been counted since the window began."""

    units: int = 0
    requests: int = 0
    retries: int = 0
    lost: int = 0
    """Connections that the server closed."""
    latencies: list[float] = field(default_factory=list)
    unit_seconds: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)

    def error(self, message: str) -> None:
        self.errors[message[:200]] = self.errors.get(message[:200], 0) + 1


class Connection:
    """One socket, and the script that runs over it."""

    def __init__(self, client: LoadClient, start: Callable[[], Script]) -> None:
        self._client = client
        self._start = start
        self._call = Call("GET", "/health")
        self._tries = 0
        self._waiting = False
        """For the end of a back-off."""
        self._sent = self._begun = 0.0
        self._connect()

    def _connect(self) -> None:
        self.socket = socket.create_connection(self._client.address, timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.watch(self)
        self._reset()

    def _reset(self) -> None:
        self._body: list[bytes] = []
        self._retry_after: float | None = None
        self._done = False
        self._parser = httptools.HttpResponseParser(self)

    # What httptools calls.
    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self._retry_after = float(value)

    def on_message_complete(self) -> None:
        self._done = True

    def begin(self) -> None:
        """Start the next unit of work."""
        self._script = self._start()
        self._begun = time.perf_counter()
        self._advance(None)

    def _advance(self, reply: Reply | None) -> None:
        try:
            self._call = next(self._script) if reply is None else self._script.send(reply)
        except StopIteration as done:
            self._client.finished(self, time.perf_counter() - self._begun, 1 if done.value is None else done.value)
        except Failed as error:
            self._client.tally.error(str(error))
            self._client.finished(self, None)
        else:
            self._tries = 0
            self._sent = time.perf_counter()
            self.send()

    def send(self) -> None:
        self._waiting = False
        method, path, body = self._call
        head = (
            f"{method} {self._client.base}{path} HTTP/1.1\r\n{self._client.headers}Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            self.socket.sendall(head.encode() + body)
        except OSError as error:
            self._lost(error)

    def readable(self) -> None:
        try:
            data = self.socket.recv(262_144)
        except OSError as error:
            self._lost(error)
            return
        if not data:
            self._lost(ConnectionResetError("closed by the server"))
            return
        self._parser.feed_data(data)
        if self._done:
            status, body, wait = self._parser.get_status_code(), b"".join(self._body), self._retry_after
            self._reset()
            self._answered(status, body, wait)

    def _answered(self, status: int, body: bytes, retry_after: float | None) -> None:
        if status in REFUSED and self._tries < TRIES:
            self._repeat(retry_after if retry_after is not None else FIRST_PAUSE * 2**self._tries)
            return
        self._client.answered(time.perf_counter() - self._sent)
        self._advance(Reply(status, body))

    def _lost(self, error: OSError) -> None:
        """Servers may close a connection after a refusal: connect again, and repeat the call if one was under way."""
        self._client.tally.lost += 1
        self._client.forget(self)
        self._connect()
        if self._waiting:
            return
        if self._tries < TRIES:
            self._repeat(FIRST_PAUSE * 2**self._tries)
        else:
            self._client.tally.error(f"connection lost: {type(error).__name__}")
            self._client.finished(self, None)

    def _repeat(self, pause: float) -> None:
        self._tries += 1
        self._waiting = True
        self._client.tally.retries += 1
        self._client.later(min(pause, LONGEST_PAUSE), self.send)


class LoadClient:
    """Runs `start` on every connection for `seconds`, after `warm_up` seconds that do not count.

    With `units` it runs until that many units are done instead, and each unit counts.
    """

    def __init__(self, url: str, connections: int, start: Callable[[], Script], say: Callable[[str], None]) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.address = (parts.hostname, parts.port)
        self.base = parts.path.rstrip("/")
        self.headers = f"Host: {parts.hostname}:{parts.port}\r\nContent-Type: application/json\r\n"
        self.tally = Tally()
        self._poll = select.epoll()
        self._by_fd: dict[int, Connection] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._left: int | None = None
        self._say = say
        self._connections = [Connection(self, start) for _ in range(connections)]

    def watch(self, connection: Connection) -> None:
        self._by_fd[connection.socket.fileno()] = connection
        self._poll.register(connection.socket, select.EPOLLIN)

    def forget(self, connection: Connection) -> None:
        self._by_fd.pop(connection.socket.fileno(), None)
        connection.socket.close()

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.perf_counter() + seconds, next(self._order), do))

    def answered(self, seconds: float) -> None:
        self.tally.requests += 1
        self.tally.latencies.append(seconds)

    def finished(self, connection: Connection, seconds: float | None, units: int = 1) -> None:
        if seconds is not None:
            self.tally.units += units
            self.tally.unit_seconds.append(seconds)
        if self._left is None or self._left > 0:
            self._left = None if self._left is None else self._left - 1
            self.later(0, connection.begin)

    def run(self, seconds: float, warm_up: float, units: int | None) -> dict[str, Any]:
        self._left = units
        begun = time.perf_counter()
        begin_at = begun + (0 if units else warm_up)
        end_at = begin_at + seconds
        self.later(begin_at - begun, self._begin_window)
        for connection in self._connections[:units]:
            if self._left is not None:
                self._left -= 1
            self.later(0, connection.begin)
        target = units or sys.maxsize
        while time.perf_counter() < end_at and self.tally.units + sum(self.tally.errors.values()) < target:
            self._turn(end_at)
        self._say('{"at": "end"}')
        figures = self._figures(time.perf_counter() - max(self._window, begun))
        self.close()
        return figures

    def close(self) -> None:
        """Close every connection; done at the end of a run, which can be made once."""
        for connection in self._connections:
            connection.socket.close()
        self._poll.close()

    def _begin_window(self) -> None:
        self.tally = Tally()
        self._window = time.perf_counter()
        self._cpu = time.process_time()
        self._say('{"at": "begin"}')

    def _turn(self, end_at: float) -> None:
        now = time.perf_counter()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        until = min(end_at, self._timers[0][0]) if self._timers else end_at
        for fd, _ in self._poll.poll(max(0.0, until - time.perf_counter())):
            if (connection := self._by_fd.get(fd)) is not None:
                connection.readable()

    def _figures(self, seconds: float) -> dict[str, Any]:
        tally = self.tally
        return {
            "seconds": seconds,
            "units": tally.units,
            "requests": tally.requests,
            "retries": tally.retries,
            "lost": tally.lost,
            "errors": tally.errors,
            "client_cpu_seconds": time.process_time() - self._cpu,
            "latency_ms": spread(tally.latencies),
            "unit_ms": spread(tally.unit_seconds),
        }


def spread(seconds: list[float]) -> dict[str, float]:
    """p50, p99 and max in milliseconds; empty without values."""
    if not seconds:
        return {}
    ranked = sorted(seconds)
    at = {
        "p50": ranked[len(ranked) // 2],
        "p99": ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))],
        "max": ranked[-1],
    }
    return {name: value * 1000 for name, value in at.items()}
