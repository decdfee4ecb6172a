"""One database, used from async code: reads on a few threads, writes on one.

Store functions are plain synchronous functions over a SQLAlchemy Core `Connection`; they are handed to
`read` or `write` and never see an event loop. A write runs in one transaction that is committed, fsynced,
before `write` returns. On SQLite every write begins with BEGIN IMMEDIATE, because facts that are read
before the lock is taken may be stale by the time they are used, and other processes share the file.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from headway.core.errors import DatabaseCorrupted, StoreError, Unavailable

P = ParamSpec("P")
T = TypeVar("T")

_READERS = 4
_BUSY_MS = 20_000


class Database:
    """Runs store functions; reopened by itself in a process that was forked after it was opened.

    Args:
        url: `sqlite:///PATH` or a PostgreSQL URL, as SQLAlchemy spells them.
        synchronous: SQLite's durability; FULL fsyncs each commit, NORMAL is for telemetry only.
    """

    def __init__(self, url: str, *, synchronous: str = "FULL", readers: int = _READERS) -> None:
        self.url = url
        self.synchronous = synchronous
        self._readers = readers
        self._open()

    def _open(self) -> None:
        self._pid = os.getpid()
        self._engine = _engine(self.url, self.synchronous, self._readers + 1)
        self._write_pool = ThreadPoolExecutor(1, thread_name_prefix="headway-write")
        self._read_pool = ThreadPoolExecutor(self._readers, thread_name_prefix="headway-read")

    def _after_fork(self) -> None:
        if self._pid != os.getpid():  # threads and connections of the parent do not exist here
            self._engine.dispose(close=False)
            self._open()

    @property
    def engine(self) -> Engine:
        """The engine, for migrations and tests."""
        self._after_fork()
        return self._engine

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    async def read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(connection, *args)` on a reader thread, in one consistent snapshot."""
        self._after_fork()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._read_pool, self._run, work, args, kwargs, False)

    async def write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(connection, *args)` on the writer thread, in one transaction; returns after the commit."""
        self._after_fork()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._write_pool, self._run, work, args, kwargs, True)

    def _run(self, work: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], writes: bool) -> T:
        try:
            with self._engine.connect() as connection:
                connection.info["headway_writes"] = writes
                with connection.begin():
                    return work(connection, *args, **kwargs)
        except OperationalError as error:
            raise Unavailable(f"The database cannot answer right now: {_reason(error)}.") from error

    async def close(self) -> None:
        """Finish what is under way and close the connections; closing twice is harmless."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._write_pool.shutdown(wait=True)
        self._read_pool.shutdown(wait=True)
        self._engine.dispose()


def _engine(url: str, synchronous: str, connections: int) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=connections, pool_pre_ping=True)
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": _BUSY_MS / 1000, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _configure(dbapi: sqlite3.Connection, _record: object) -> None:
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            "foreign_keys=ON",
            "cache_size=-32000",
        ):
            dbapi.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # differs because SQLite takes its write lock at the first write, after the facts were read.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.info.get("headway_writes") else "BEGIN")

    return engine


def _reason(error: DBAPIError) -> str:
    return str(error.orig or error).strip().splitlines()[0]


def check_usable(database: Database) -> None:
    """Raise StoreError, in one line, if the database cannot be opened, read or written.

    Called once at start: an unwritable folder or a damaged file should stop a server there and then.
    """
    path = sqlite_path(database.url)
    try:
        if path is not None:
            _make_folder(path.parent, database.url)
        with database.engine.connect() as connection:
            connection.info["headway_writes"] = True
            with connection.begin():
                if path is not None:
                    connection.exec_driver_sql("PRAGMA user_version = 1")
                    connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
    except DatabaseError as error:
        kind = StoreError if isinstance(error, OperationalError) else DatabaseCorrupted
        raise kind(
            f"Cannot use the database {database.url}: {_reason(error)}. "
            "Name another one with HEADWAY_HOME or --database-url, or restore this one from a backup."
        ) from error


def _make_folder(folder: Path, url: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"Cannot use the database {url}: cannot write to {folder}: {error.strerror}. "
            "Set HEADWAY_HOME (or --database-url) to a place you can write to."
        ) from error


def sqlite_path(url: str) -> Path | None:
    """The file behind a SQLite URL; None for other databases."""
    prefix = "sqlite:///"
    return Path(url.removeprefix(prefix)) if url.startswith(prefix) else None
