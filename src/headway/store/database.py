"""One database, used from async code: reads on a few threads, writes on one (SQLite) or a few (PostgreSQL).

Store functions are plain synchronous functions over a SQLAlchemy Core `Connection`; they are handed to
`read` or `write` and never see an event loop. A write runs in one transaction that is committed, fsynced,
before `write` returns. On SQLite every write begins with BEGIN IMMEDIATE, because facts that are read
before the lock is taken may be stale by the time they are used, and other processes share the file. On PostgreSQL
rows are locked instead (`store.locks`), and a transaction that somebody else was in the way of is run again.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from headway.core.errors import DatabaseCorrupted, Invalid, StoreError, Unavailable
from headway.store import postgresql, remembered
from headway.store.hot import as_sqlalchemy
from headway.store.postgresql import Verdict

P = ParamSpec("P")
T = TypeVar("T")

_READERS = 4
_WRITERS = 4
_BUSY_MS = 20_000
_TRIES = 8
_RETRY_AFTER = 0.5


class Database:
    """Runs store functions; reopened by itself in a process that was forked after it was opened.

    Args:
        url: `sqlite:///PATH` or a PostgreSQL URL, as SQLAlchemy spells them.
        synchronous: SQLite's durability; FULL fsyncs each commit, NORMAL is for telemetry only.
        name: `record` or `telemetry`, which may be two parts of one PostgreSQL database.
        writers: threads that write to PostgreSQL; SQLite has one writer whatever this says.
    """

    def __init__(
        self,
        url: str,
        *,
        synchronous: str = "FULL",
        readers: int = _READERS,
        writers: int = _WRITERS,
        name: str = "record",
    ) -> None:
        self.url = url
        self.name = name
        self.synchronous = synchronous
        self.is_sqlite = url.startswith("sqlite")
        self._readers = readers
        self._writers = 1 if self.is_sqlite else writers
        self._open()

    def _open(self) -> None:
        self._pid = os.getpid()
        self._closed = False
        if self.is_sqlite:
            # The writer has a connection of its own: what others wrote would empty its cache of pages.
            self._engine = _sqlite_engine(self.url, self.synchronous, 1)
            self._reading = _sqlite_engine(self.url, self.synchronous, self._readers)
        else:
            presence = postgresql.PRESENCE[self.name]
            self._engine = postgresql.engine(self.url, self._writers, presence=presence)
            self._reading = postgresql.engine(self.url, self._readers, reads=True, presence=presence)
        self._write_pool = ThreadPoolExecutor(self._writers, thread_name_prefix="headway-write")
        self._read_pool = ThreadPoolExecutor(self._readers, thread_name_prefix="headway-read")

    def _after_fork(self) -> None:
        if self._pid != os.getpid():  # threads and connections of the parent do not exist here
            self._engine.dispose(close=False)
            self._reading.dispose(close=False)
            self._open()

    @property
    def engine(self) -> Engine:
        """The engine that writes, for migrations and tests."""
        self._after_fork()
        return self._engine

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    async def read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(connection, *args)` on a reader thread.

        SQLite shows one snapshot throughout; on PostgreSQL each statement sees what is committed when it begins,
        so what must fit together is asked for in one statement, or in a write.
        """
        return await self._submit(False, work, args, kwargs)

    async def write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(connection, *args)` on a writer thread, in one transaction; returns after the commit.

        On PostgreSQL `work` may be run more than once: of the runs before the last, nothing is left in the database.

        Raises:
            Unavailable: nobody can tell whether it was committed, or nothing happened; repeating is safe.
            Invalid: the database cannot keep a value.
        """
        return await self._submit(True, work, args, kwargs)

    async def _submit(self, writes: bool, work: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        self._after_fork()
        if self._closed:
            raise Unavailable("The server is being stopped.", _RETRY_AFTER)
        pool = self._write_pool if writes else self._read_pool
        return await asyncio.get_running_loop().run_in_executor(pool, self._run, work, args, kwargs, writes)

    def _run(self, work: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], writes: bool) -> T:
        tries = 0
        while True:
            tries += 1
            trial = _Trial(self._engine if writes else self._reading, writes)
            try:
                return trial.run(work, args, kwargs)
            except SQLAlchemyError as error:
                if self.is_sqlite:
                    _give_up_sqlite(error)
                self._settle(error, trial, tries)

    def _settle(self, error: SQLAlchemyError, trial: _Trial, tries: int) -> None:
        """Return if the transaction should be tried again; raise what its caller is told otherwise."""
        match postgresql.judge(error):
            case Verdict.REPEAT if tries < _TRIES:
                time.sleep(random.uniform(0, 0.01 * tries))  # so that those who collided do not again
            case Verdict.REPEAT_ONCE if tries == 1 and trial.writes:
                return
            case Verdict.LOST if tries == 1 and not trial.committing:
                trial.engine.dispose()  # a restart of the database kills all idle connections: none is worth a try
            case Verdict.LOST | Verdict.REPEAT:
                doubt = "It is not known whether the change was made; repeat it. " if trial.committing else ""
                raise Unavailable(
                    f"The database cannot answer right now: {_reason(error)}. {doubt}".strip(), _RETRY_AFTER
                ) from error
            case Verdict.REFUSE:
                raise Invalid(f"The database cannot keep this value: {_reason(error)}.") from error
            case _:
                raise error

    async def close(self) -> None:
        """Finish what is under way and close the connections; closing twice is harmless."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._closed = True
        self._write_pool.shutdown(wait=True)
        self._read_pool.shutdown(wait=True)
        self._engine.dispose()
        self._reading.dispose()


class _Trial:
    """One run of a store function in a transaction; `committing` once its fate is in the database's hands."""

    def __init__(self, engine: Engine, writes: bool) -> None:
        self.engine = engine
        self.writes = writes
        self.committing = False

    def run(self, work: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        with self.engine.connect() as connection:
            connection.info["headway_writes"] = self.writes
            remembered.begin(connection)
            with connection.begin() as transaction:
                result = work(connection, *args, **kwargs)
                self.committing = self.writes
                transaction.commit()
            remembered.committed(connection)
            return result


def _give_up_sqlite(error: SQLAlchemyError) -> NoReturn:
    if isinstance(error, OperationalError):
        raise Unavailable(f"The database cannot answer right now: {_reason(error)}.") from error
    raise error


def _sqlite_engine(url: str, synchronous: str, connections: int) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=2,  # for who asks for a connection past the threads: migrations, tests
        pool_reset_on_return=None,  # every transaction has ended by then
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
        begin = "BEGIN IMMEDIATE" if connection.info.get("headway_writes") else "BEGIN"
        try:
            connection.connection.cursor().execute(begin)  # twice as fast as by SQLAlchemy, twice in every request
        except sqlite3.Error as error:
            raise as_sqlalchemy(connection, begin, error) from error

    return engine


def _reason(error: SQLAlchemyError) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return next(iter(str(cause).strip().splitlines()), type(cause).__name__).rstrip(".")


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
                else:
                    _check_version(connection)
    except DatabaseError as error:
        kind = StoreError if isinstance(error, OperationalError) else DatabaseCorrupted
        remedy = (
            "Name another one with HEADWAY_HOME or --database-url, or restore this one from a backup."
            if path is not None
            else "Check that PostgreSQL runs there, that the database exists and that this user may use it."
        )
        raise kind(f"Cannot use the database {postgresql.shown(database.url)}: {_reason(error)}. {remedy}") from error


def _check_version(connection: Connection) -> None:
    version = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one())
    if version < postgresql.OLDEST * 10_000:
        raise StoreError(
            f"This is PostgreSQL {version // 10_000}; Headway needs {postgresql.OLDEST} or newer. Upgrade the database."
        )


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
