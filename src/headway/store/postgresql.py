"""What PostgreSQL needs that SQLite does not: its driver, its connections, and what its errors mean.

psycopg 3 is the driver: store functions are synchronous, and SQLAlchemy, the named statements and the listening
connection share it. Transactions are READ COMMITTED; what must not change between look and write is locked
(`store.locks`). Reads run one statement at a time, without BEGIN and ROLLBACK around them.
"""

from __future__ import annotations

import re
from enum import Enum, auto

import msgspec
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool, QueuePool

from headway.core.errors import StoreError
from headway.store.types import to_json

__all__ = ["OLDEST", "PRESENCE", "Verdict", "dsn", "engine", "judge", "shown"]

OLDEST = 14
"""The oldest major version that is served."""

PRESENCE = {"record": 0x68776179_01, "telemetry": 0x68776179_02}
"""Keys of advisory locks: every connection shares one of them, whoever changes the schema has it alone."""

_REPEATABLE = {"40001", "40P01", "55P03", "25006"}  # serialization, deadlock, lock not available, read-only standby
_TAKEN = "23505"
_CONNECT_SECONDS = 10
_BY_KEY = {"random_page_cost": "1.1", "enable_hashjoin": "off", "enable_mergejoin": "off"}


class Verdict(Enum):
    """What to do about an error of the database."""

    RAISE = auto()
    REPEAT = auto()
    """The whole transaction may succeed now: somebody else was in the way."""
    REPEAT_ONCE = auto()
    """Somebody may have inserted the same key after this transaction looked."""
    LOST = auto()
    """The connection is gone, or none is to be had."""
    REFUSE = auto()
    """PostgreSQL cannot keep one of the values at all."""


def dsn(url: str) -> str:
    """The URL as psycopg takes it."""
    return re.sub(r"^postgresql(\+\w+)?:", "postgresql:", url)


def shown(url: str) -> str:
    """The URL without its password, for messages."""
    return make_url(url).render_as_string(hide_password=True)


def engine(url: str, connections: int, *, reads: bool = False, presence: int | None = None) -> Engine:
    """An engine with that many connections at most; with `reads`, each statement is its own transaction.

    Raises:
        StoreError: psycopg is not installed.
    """
    try:
        made = create_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            poolclass=QueuePool if connections else NullPool,
            **({"pool_size": connections, "max_overflow": 0, "pool_timeout": _CONNECT_SECONDS} if connections else {}),
            isolation_level="AUTOCOMMIT" if reads else "READ COMMITTED",
            json_serializer=to_json,
            json_deserializer=msgspec.json.decode,
            # The driver prepares nothing itself: after a rollback it would DEALLOCATE ALL, ours (libpq.py) too.
            connect_args={
                "connect_timeout": _CONNECT_SECONDS,
                "application_name": "headway",
                "prepare_threshold": None,
            },
        )
    except ModuleNotFoundError as error:
        raise StoreError(
            f"Headway speaks to PostgreSQL through {error.name}, which is not installed. "
            "Run: pip install 'headway[postgres]'"
        ) from None
    event.listen(made, "connect", lambda dbapi, _: _plan(dbapi, reads))
    if presence is not None:
        event.listen(made, "connect", lambda dbapi, _: _be_present(dbapi, presence))
    return made


def _plan(connection: DBAPIConnection, reads: bool) -> None:
    """Statements here are short: compiling one costs more than running it. And whoever writes looks rows up by key: a
    plan that reads a whole table, made while that was small, must not be kept until it is large."""
    settings = {"jit": "off"} if reads else {"jit": "off", **_BY_KEY}
    cursor = connection.cursor()
    cursor.execute("; ".join(f"SET {name} = {value}" for name, value in settings.items()))
    cursor.close()
    connection.commit()


def _be_present(connection: DBAPIConnection, key: int) -> None:
    """Waits while another process changes the schema."""
    cursor = connection.cursor()
    cursor.execute(f"SELECT pg_advisory_lock_shared({key})")
    cursor.close()
    connection.commit()


def judge(error: SQLAlchemyError) -> Verdict:
    """What an error means for the transaction that it ended."""
    if isinstance(error, PoolTimeout):
        return Verdict.LOST
    if not isinstance(error, DBAPIError):
        return Verdict.RAISE
    code = getattr(error.orig, "sqlstate", None)
    if isinstance(error, DataError):
        return Verdict.REFUSE  # NUL in a text, which psycopg itself refuses; a number that is too large
    if error.connection_invalidated or code is None or code[:2] in ("08", "53") or code[:3] == "57P":
        return Verdict.LOST if error.connection_invalidated or _is_operational(error) else Verdict.RAISE
    if code in _REPEATABLE:
        return Verdict.REPEAT
    return Verdict.REPEAT_ONCE if code == _TAKEN else Verdict.RAISE


def _is_operational(error: DBAPIError) -> bool:
    return type(error).__name__ in ("OperationalError", "InterfaceError")
