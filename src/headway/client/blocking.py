"""The same plain HTTP for sync code: its coroutines never wait for an event loop, so none is needed to run them.

A command that asks once spends more on an event loop and its thread than on the question.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from headway.client.http1 import CONNECT_SECONDS, Broken, Reading, Target, unreachable
from headway.client.transport import Answer

__all__ = ["BlockingTransport", "run", "sleep"]

T = TypeVar("T")
PIECE = 256 * 1024


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The value of a coroutine that waits for nothing but a `BlockingTransport` and this module's `sleep`."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    coroutine.close()
    raise RuntimeError("The coroutine waits for an event loop, and there is none.")


async def sleep(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251 - there is no event loop to hold up


class BlockingTransport:
    """Connections to one API URL (`http://host:port/api`), each used by one thread at a time."""

    def __init__(self, url: str, timeout_seconds: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout_seconds
        self._target = Target(self.url)
        self._idle: deque[socket.socket] = deque()

    async def open(self) -> None:
        return

    async def close(self) -> None:
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
        deadline = time.monotonic() + self._timeout
        try:
            return self._exchange(message, deadline, bodiless=method == "HEAD")
        except (OSError, Broken) as error:  # a TimeoutError is an OSError
            raise unreachable(self.url, error) from None

    def _exchange(self, message: bytes, deadline: float, *, bodiless: bool) -> Answer:
        """Ask on a kept connection; the server may have closed it meanwhile, which a new one tells from silence."""
        while self._idle:
            kept = self._idle.pop()
            try:
                return self._ask(kept, message, deadline, bodiless)
            except Broken as error:
                if not error.fresh:
                    raise
        address = (self._target.host, self._target.port)
        connection = socket.create_connection(address, min(CONNECT_SECONDS, self._timeout))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._ask(connection, message, deadline, bodiless)

    def _ask(self, connection: socket.socket, message: bytes, deadline: float, bodiless: bool) -> Answer:
        reading = Reading(bodiless)
        try:
            self._converse(connection, message, deadline, reading)
        except BaseException:
            connection.close()
            raise
        if reading.keep:
            self._idle.append(connection)
        else:
            connection.close()
        return reading.status, reading.headers, reading.body

    def _converse(self, connection: socket.socket, message: bytes, deadline: float, reading: Reading) -> None:
        """Send a request and read until its answer is whole."""
        buffer, heard = bytearray(), False
        try:
            connection.settimeout(_left(deadline))
            connection.sendall(message)
            while True:
                connection.settimeout(_left(deadline))
                piece = connection.recv(PIECE)
                if not piece:
                    break
                heard = True
                buffer += piece
                if reading.advance(buffer):
                    reading.keep = reading.keep and not buffer
                    return
        except ConnectionError as error:
            raise Broken(str(error.strerror or error), fresh=not heard) from None
        except ValueError as error:
            raise Broken(str(error), fresh=False) from None
        if not reading.until_end:
            raise Broken("the connection was closed", fresh=not heard)
        reading.body = bytes(buffer)


def _left(deadline: float) -> float:
    """Seconds until then; TimeoutError if there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
