"""What every wire type is built from: strict requests, tolerant replies, and one pair of JSON functions.

A `Request` refuses unknown fields by name, a `Part` and a `Reply` ignore them. All times are UTC once
decoded: a time without a zone is taken as UTC, as the reference does.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

__all__ = [
    "MAX_LIMIT",
    "UNSET",
    "BulkLimit",
    "Labels",
    "Limit",
    "Name",
    "Offset",
    "PageNumber",
    "Part",
    "Reply",
    "Request",
    "UnsetType",
    "decode",
    "encode",
    "given",
]

MAX_LIMIT = 200
"""Default and greatest `limit` of a /filter body (CONTRACT §1.2)."""

Labels = dict[str, bool | int | float | str]
Limit = Annotated[int, Meta(ge=0, le=MAX_LIMIT)]
BulkLimit = Annotated[int, Meta(ge=1, le=50)]
Offset = Annotated[int, Meta(ge=0)]
PageNumber = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(pattern=r"^[^/%&><]+$")]
"""A name that can be a path segment: not empty and without / % & > <."""

T = TypeVar("T")


class Part(msgspec.Struct):
    """A piece of a request that ignores unknown fields, as the reference does for these pieces."""

    def __post_init__(self) -> None:
        for name in time_fields(type(self)):
            value = getattr(self, name)
            if isinstance(value, datetime) and value.tzinfo is not UTC:
                setattr(self, name, in_utc(value))


class Request(Part, forbid_unknown_fields=True):
    """A request body. An unknown field is an error that names it (422)."""


class Reply(msgspec.Struct):
    """A response body. Clients ignore fields they do not know."""


def decode(body: bytes | str, type: type[T]) -> T:
    """JSON as `type`; raises `msgspec.ValidationError` (its message ends with the path of the fault)."""
    return msgspec.json.decode(body, type=type)


def encode(value: Any) -> bytes:
    """Any wire value as JSON; fields that are UNSET are left out."""
    return msgspec.json.encode(value)


def given(update: msgspec.Struct) -> dict[str, Any]:
    """The fields of a PATCH body that the client named, as attribute values."""
    values = {name: getattr(update, name) for name in update.__struct_fields__}
    return {name: value for name, value in values.items() if value is not UNSET}


def in_utc(value: datetime) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{value.isoformat()} is before or after all UTC times") from None


@cache
def time_fields(type: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields of a struct that can hold a time."""
    return tuple(name for name, hint in get_type_hints(type).items() if hint is datetime or datetime in get_args(hint))
