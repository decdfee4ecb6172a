"""Serving over HTTP: lock the home, bind, say where, run until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import gc
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from headway.core.errors import HeadwayError
from headway.core.server_lock import ServerLock
from headway.core.settings import Settings
from headway.server.app import Server, create_app
from headway.server.asgi import Gate, asgi_later, is_patient
from headway.server.http import ApiConnection

_IDLE_SECONDS = 30


class AddressInUse(HeadwayError):
    """The address cannot be listened on."""


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Run a server until SIGINT or SIGTERM. `announce` is called once with the API's URL, when it answers.

    Raises:
        HeadwayError: in one line: address in use, home not writable or served by another, database unusable.
    """
    lock = ServerLock(settings.home)
    if settings.server.database_url is None:  # a home's own database has one server; others may be shared
        lock.acquire()
    try:
        listening = _listen(settings.server.host, settings.server.port)
        try:
            asyncio.run(_serve(create_app(settings), listening, lock, announce))
        finally:
            listening.close()
    finally:
        lock.release()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it; without it a reply's second packet waits 40 ms for the first one's delayed ACK.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        remedy = "Choose another one with --port, or stop what uses it." if error.errno == errno.EADDRINUSE else (
            "Choose an address of this machine with --host.")  # fmt: skip
        raise AddressInUse(f"Cannot listen on {host}:{port}: {error.strerror}. {remedy}") from error
    listening.setblocking(False)
    return listening


async def _serve(server: Server, listening: socket.socket, lock: ServerLock, announce: Callable[[str], None]) -> None:
    settings = server.settings.server
    logging.basicConfig(level=settings.log_level)
    # The server is started here, not by the ASGI lifespan, so that a database nobody can use is one line.
    await server.start(loops=False)
    gc.enable()
    gc.freeze()  # or each full collection walks all modules and tables, and holds every request for 80 ms
    host, port = listening.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/api"
    config = uvicorn.Config(
        asgi_later(partial(server.asgi, manage=False)),
        http=partial(_connection, server.gate),  # type: ignore[arg-type]  # it is only called
        timeout_keep_alive=_IDLE_SECONDS,
        loop="auto",
        lifespan="off",
        log_level=settings.log_level.lower(),
        access_log=settings.access_log,
        timeout_graceful_shutdown=int(settings.shutdown_seconds),
    )

    async def answering() -> None:
        _announce(url, lock, announce)
        await server.start_loops()

    runner = _Announcing(config, answering, server.wakes.close)
    if settings.access_log:
        logging.getLogger("uvicorn.access").setLevel(logging.INFO)
    try:
        await runner.serve(sockets=[listening])
    finally:
        await server.stop()


def _connection(
    gate: Gate,
    config: uvicorn.Config,
    server_state: ServerState,
    app_state: dict[str, Any],
    _loop: asyncio.AbstractEventLoop | None = None,
) -> ApiConnection:
    """A new connection: the API's own, until it is asked for something else and uvicorn's takes over."""

    def general() -> HttpToolsProtocol:
        return HttpToolsProtocol(config=config, server_state=server_state, app_state=app_state, _loop=_loop)

    return ApiConnection(
        gate, general, server_state, config.timeout_keep_alive, is_patient, log_access=config.access_log
    )


def _announce(url: str, lock: ServerLock, announce: Callable[[str], None]) -> None:
    if lock.held:
        lock.publish(url)
    announce(url)


class _Announcing(uvicorn.Server):
    """Says so once it answers, and ends like a program that was asked to stop, not one that was killed."""

    def __init__(
        self, config: uvicorn.Config, answering: Callable[[], Awaitable[None]], answer_who_waits: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._answering = answering
        self._answer_who_waits = answer_who_waits

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            await self._answering()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._answer_who_waits()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises the signal again after a clean stop, which would end the process as killed.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def with_overrides(settings: Settings, host: str | None, port: int | None, database_url: str | None) -> Settings:
    """Settings as the command line changes them."""
    given = {"host": host, "port": port, "database_url": database_url}
    changed = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(settings, server=dataclasses.replace(settings.server, **changed))  # type: ignore[arg-type]
