"""LISTEN and NOTIFY: replicas on one PostgreSQL tell each other in which pools something happened.

A notice is a hint. It is sent after the commit, pools of a moment in one; it may be lost, and then the pulse finds
what is due (`store.pulse`). Each replica listens on one connection of its own, which is opened again when it breaks;
whoever waits is woken then, because nobody knows what was missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection

from headway.core.errors import HeadwayError
from headway.store.database import Database
from headway.store.postgresql import dsn

if TYPE_CHECKING:
    import psycopg

__all__ = ["LISTENER", "Notices"]

logger = logging.getLogger("headway.server.notices")

LISTENER = "headway-listen"
"""The listening connection's `application_name`."""

CHANNEL = "headway"
EVERYONE = "*"
MOST = 200
"""Pools in one notice; PostgreSQL takes 8,000 bytes."""
TOGETHER_SECONDS = 0.01
PATIENCE = (0.1, 0.3, 1.0)
"""Seconds between attempts to listen again; the last one stays."""


class Notices:
    """Call `start` and `stop` on the event loop; `tell` from it.

    `heard` gets the pools that a notice names, `everyone` is called when any may have been missed.
    """

    def __init__(
        self, database: Database, heard: Callable[[Iterable[UUID]], None], everyone: Callable[[], None]
    ) -> None:
        self._database = database
        self._heard = heard
        self._everyone = everyone
        self._untold: set[UUID] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        self._tasks["listen"] = asyncio.create_task(self._listen(), name="headway-listen")

    async def stop(self) -> None:
        """Stopping twice, or before starting, is harmless."""
        tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            task.cancel()
        if tasks:
            await asyncio.wait(tasks.values())

    def tell(self, pools: Collection[UUID]) -> None:
        """Let the other replicas know, soon."""
        self._untold.update(pools)
        task = self._tasks.get("tell")
        if task is None or task.done():
            self._tasks["tell"] = asyncio.create_task(self._tell(), name="headway-notify")

    async def _tell(self) -> None:
        while self._untold:
            pools, self._untold = self._untold, set()
            payload = EVERYONE if len(pools) > MOST else ",".join(pool.hex for pool in pools)
            with contextlib.suppress(HeadwayError):  # a hint: the pulse of the others finds what is due
                await self._database.read(_notify, payload)
            await asyncio.sleep(TOGETHER_SECONDS)

    async def _listen(self) -> None:
        failures = 0
        while True:
            try:
                async with await self._connect() as connection:
                    failures = 0
                    self._everyone()
                    async for notice in connection.notifies():
                        self._hear(notice.payload)
            except OSError as error:
                reason: Exception = error
            except self._errors() as error:
                reason = error
            if not failures:
                logger.warning("The connection that listens for work is gone, another one is opened: %s", _line(reason))
            await asyncio.sleep(PATIENCE[min(failures, len(PATIENCE) - 1)])
            failures += 1

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        import psycopg  # as late as SQLAlchemy does: it is an extra

        connection = await psycopg.AsyncConnection.connect(
            dsn(self._database.url), autocommit=True, application_name=LISTENER, connect_timeout=10
        )
        await connection.execute(f"LISTEN {CHANNEL}")
        return connection

    def _errors(self) -> type[Exception]:
        import psycopg

        return psycopg.Error

    def _hear(self, payload: str) -> None:
        if payload == EVERYONE:
            self._everyone()
            return
        with contextlib.suppress(ValueError):  # of a version that writes them otherwise
            self._heard([UUID(pool) for pool in payload.split(",")])


def _line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _notify(connection: Connection, payload: str) -> None:
    connection.exec_driver_sql("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
