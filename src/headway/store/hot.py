"""Named statements (store/sql) on the driver's own cursor, inside the transaction of a SQLAlchemy connection.

What SQLAlchemy spends on compiling, binding and wrapping a statement is several times what SQLite spends on
running it, so the statements of every transition go past it. Values are given and come back as the driver
has them; `Codec` turns ids, times and JSON into those and back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from headway.store.sql import positional, statement
from headway.store.types import from_micros, to_micros

if TYPE_CHECKING:
    from headway.store.libpq import Libpq

__all__ = ["Codec", "Hot", "as_sqlalchemy", "codec", "instant", "moment", "tamed", "unjson"]

_unjson = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_TOGETHER = (
    "add_flow_run",
    "change_flow_run",
    "drop_live_run",
    "add_live_run",
    "change_live_run",
    "add_flow_run_state",
    "change_attempt",
    "drop_slot",
    "add_slot",
    "change_slot",
)
"""Statements that are one on PostgreSQL: write_batch.sql."""
_AFTER = "add_attempt"
_TOLD = {"add_flow_run_state": ("message", "data", "state_details"), "change_attempt": ("outcome",)}
"""What a run says about its end."""
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


class Hot:
    """One transaction's hot statements."""

    __slots__ = ("_connection", "_cursor", "_dialect", "_libpq", "codec")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name
        self._libpq: Libpq | None = None
        if self._dialect == "postgresql":
            from headway.store.libpq import Libpq  # an extra: not every installation has it

            self._libpq = Libpq(connection)
        self._cursor = connection.connection.cursor()
        self.codec = codec(self._dialect)

    def rows(self, name: str, /, **parameters: Any) -> list[tuple[Any, ...]]:
        """All rows that the statement finds."""
        try:
            if self._libpq is not None:
                return self._libpq.run(name, parameters)
            self._cursor.execute(statement(self._dialect, name), parameters)
            return self._cursor.fetchall()  # type: ignore[return-value]
        except Exception as error:
            self._fail(name, error)

    def write(self, name: str, /, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run the statement once per row; no rows, no statement."""
        if not rows:
            return
        if self._libpq is not None and name in _TOGETHER:
            self.write_all({name: rows})
            return
        text, values = positional(self._dialect, name)
        try:
            if len(rows) == 1:
                self._cursor.execute(text, values(rows[0]))
            else:
                self._cursor.executemany(text, list(map(values, rows)))
        except Exception as error:
            self._fail(name, error)

    def write_all(self, changes: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """The same for many statements, in their order; on PostgreSQL all that it can do at once is one."""
        if self._libpq is None:
            for name, rows in changes.items():
                self.write(name, rows)
            return
        try:
            together = {name: changes.get(name, ()) for name in _TOGETHER}
            if any(together.values()):
                self._libpq.run("write_batch", {name: encoded(rows, name) for name, rows in together.items()})
            if changes.get(_AFTER):
                self._libpq.run("write_attempts", {_AFTER: _encode(changes[_AFTER])})
        except Exception as error:
            self._fail("write_batch", error)

    def _fail(self, name: str, error: Exception) -> NoReturn:
        raise as_sqlalchemy(self._connection, name, error) from error


def as_sqlalchemy(connection: Connection, statement: str, error: Exception) -> BaseException:
    """A driver's error as SQLAlchemy would raise it, so that callers see one kind; any other error as it is."""
    dialect = connection.dialect
    if not isinstance(error, dialect.loaded_dbapi.Error):
        return error
    return DBAPIError.instance(statement, None, error, dialect.loaded_dbapi.Error, dialect=dialect)


def encoded(rows: Sequence[Mapping[str, Any]], name: str) -> bytes:
    """Rows as the JSON that write_batch.sql takes.

    PostgreSQL keeps no NUL. How a run ended must be kept whatever its words are, so there it becomes U+FFFD; elsewhere
    the database refuses it.
    """
    raw = _encode(rows)
    if b"u0000" in raw and name in _TOLD:
        raw = _encode([{key: tamed(value) if key in _TOLD[name] else value for key, value in r.items()} for r in rows])
    return raw


def tamed(text: str | None) -> str | None:
    """A text, or JSON as text, without NUL."""
    return None if text is None else _NUL.sub(r"\1\\ufffd", text.replace("\0", "\ufffd"))


class Codec:
    """Ids, times and JSON as one driver has them."""

    __slots__ = ("id", "ids", "uuid")

    id: Callable[[UUID | None], Any]
    """An id as a parameter."""
    ids: Callable[[Iterable[UUID]], Any]
    """Many ids as the one parameter of a set-based statement."""
    uuid: Callable[[Any], UUID | None]
    """An id out of a row."""

    def __init__(
        self,
        id: Callable[[UUID | None], Any],
        ids: Callable[[Iterable[UUID]], Any],
        uuid: Callable[[Any], UUID | None],
    ) -> None:
        self.id, self.ids, self.uuid = id, ids, uuid


@cache
def codec(dialect: str) -> Codec:
    """The codec of a dialect. differs because SQLite has neither UUIDs nor arrays: hex digits, JSON arrays."""
    if dialect == "sqlite":
        return Codec(_hex, _json_array, _from_hex)
    return Codec(lambda id: id, _array, lambda value: value)


def _hex(id: UUID | None) -> str | None:
    return None if id is None else id.hex


def _json_array(ids: Iterable[UUID]) -> str:
    return '["' + '","'.join([id.hex for id in ids]) + '"]' if ids else "[]"


def _array(ids: Iterable[UUID]) -> str:
    return "{" + ",".join(map(str, ids)) + "}"


@lru_cache(maxsize=16_384)
def _from_hex(value: str | None) -> UUID | None:
    # The ids of pools, queues, deployments and flows come back in every row, those of runs four times.
    return None if value is None else UUID(value)


def moment(micros: int | None) -> datetime | None:
    """A time out of a row."""
    return None if micros is None else from_micros(micros)


def instant(value: datetime | None) -> int | None:
    """A time as a parameter."""
    return None if value is None else to_micros(value)


def unjson(text: str | None) -> Any:
    """A JSON column (as text) out of a row."""
    return None if text is None else _unjson(text)
