"""Column types that read and write the same on SQLite and PostgreSQL.

`Instant` is a BIGINT of microseconds since 1970-01-01 UTC: both databases compare, subtract and
index it the same way, and no driver has to guess a time zone. `Json` is text on both sides, encoded once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Whole microseconds since the epoch; raises ValueError for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone; every time in Headway carries one")
    return (moment - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The UTC datetime that many microseconds after the epoch."""
    return EPOCH + timedelta(microseconds=micros)


Seq = BigInteger().with_variant(Integer(), "sqlite")
"""A counter. On SQLite it must be called INTEGER to count by itself; it has 64 bits there too."""


class Instant(TypeDecorator[datetime]):
    """A UTC datetime, stored as BIGINT microseconds since the epoch."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_micros(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_micros(int(value))


def _as_json(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} cannot be stored as JSON")


_encode = msgspec.json.Encoder(enc_hook=_as_json).encode
_decode = msgspec.json.Decoder().decode


def to_json(value: Any) -> str:
    """The JSON text that a value is stored as."""
    return _encode(value).decode()


class Json(TypeDecorator[Any]):
    """A JSON value: text on SQLite, JSONB on PostgreSQL; SQL NULL is None."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        # differs because PostgreSQL can only index and search JSON that it stores as JSONB.
        if dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import JSONB  # costs servers on SQLite a tenth of their start

            return dialect.type_descriptor(JSONB(none_as_null=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return to_json(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return _decode(value)
