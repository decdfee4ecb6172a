"""Hot statements on PostgreSQL, straight through libpq.

What a cursor of psycopg spends on a statement (on the query, each parameter, the state of the connection) is
several times what the statement takes; here each is prepared once per connection and run with parameters as text.
Results are read by psycopg's own loaders. The transaction stays psycopg's: it begins here and ends there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from sqlalchemy import Connection

from headway.store.sql import numbered

__all__ = ["Libpq", "as_array"]

_GOOD = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
_PREPARED = "headway_prepared"


class Libpq:
    """The driver's connection under a SQLAlchemy one."""

    __slots__ = ("_connection", "_pgconn", "_prepared")

    def __init__(self, connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        self._connection: psycopg.Connection[Any] = driver
        self._pgconn = self._connection.pgconn
        self._prepared: set[str] = connection.info.setdefault(_PREPARED, set())

    def run(self, name: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a named statement. Raises psycopg's errors."""
        pgconn = self._pgconn
        text, names = numbered(name)
        if pgconn.transaction_status == TransactionStatus.IDLE and not self._connection.autocommit:
            self._checked(pgconn.exec_(b"BEGIN"))
        key = name.encode()
        if name not in self._prepared:
            self._checked(pgconn.prepare(key, text))
            self._prepared.add(name)
        result = self._checked(pgconn.exec_prepared(key, [_parameter(parameters[each]) for each in names]))
        if not result.ntuples:
            return []
        loader = Transformer(self._connection)
        loader.set_pgresult(result)
        return loader.load_rows(0, result.ntuples, tuple)

    def _checked(self, result: Any) -> Any:
        if result.status in _GOOD:
            return result
        if self._pgconn.status == ConnStatus.BAD:
            raise psycopg.OperationalError(self._pgconn.get_error_message())
        raise psycopg.errors.error_from_result(result)


def _parameter(value: Any) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        if "\0" in value:
            raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
        return value.encode()
    if isinstance(value, list | tuple | set | frozenset):
        return as_array(value).encode()
    return str(value).encode()  # ids, whole numbers, true and false


def as_array(values: Iterable[UUID | int | str]) -> str:
    """Ids, numbers or plain words as an array's text."""
    return "{" + ",".join(map(str, values)) + "}"
