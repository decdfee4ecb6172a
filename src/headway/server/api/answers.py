"""What handlers answer with, and how errors look on the wire (CONTRACT §1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import msgspec

from headway.core.errors import Invalid, Locked, RequestError, Unavailable
from headway.wire.errors import fault_of

_encode = msgspec.json.Encoder().encode
_JSON = MappingProxyType({"content-type": "application/json"})
EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `headers` are lower-case; `path` is below the API's base and has no query."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """What to send back, ready for any transport."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Raw:
    """A body that is not JSON."""

    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a value; a handler returns one where the status depends on what happened."""

    status: int
    value: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """Encoded, for a transport."""
        return response_of(self.status, self.value, self.headers)


def response_of(status: int, value: Any, headers: Mapping[str, str] = EMPTY) -> Response:
    """The same without an Answer around it."""
    if isinstance(value, Raw):
        return Response(status, {"content-type": value.content_type, **headers}, value.content)
    if status == 204:
        return Response(status, headers, b"")
    return Response(status, {**_JSON, **headers} if headers else _JSON, _encode(value))


def failure(error: RequestError, body: bytes) -> Answer:
    """The reference's error bodies: 422 with `loc`, otherwise `detail`, and `code` where there is one."""
    if isinstance(error, Invalid):
        detail = [{"loc": error.loc, "msg": error.message, "type": "value_error"}]
        return Answer(422, {"exception_message": "Invalid request received.", "exception_detail": detail,
                            "request_body": _echo(body)})  # fmt: skip
    value: dict[str, Any] = {"detail": error.message}
    if (code := getattr(error, "code", None)) is not None:
        value["code"] = code
    headers = {}
    if isinstance(error, Locked | Unavailable) and error.retry_after is not None:
        headers["retry-after"] = str(round(error.retry_after, 4))
    return Answer(error.status, value, headers)


def invalid_body(error: Exception, body: bytes) -> Invalid:
    """msgspec's complaint with the path it names as a `loc`; an unknown field is part of the path."""
    if not body:
        return Invalid("A JSON body is expected", loc=["body"])
    fault = fault_of(error)
    return Invalid(fault.msg, loc=fault.loc)


def _echo(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:
        return body.decode(errors="replace")
