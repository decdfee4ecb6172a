"""One API call: encode, send, repeat what is safe to repeat, and turn answers into values or errors.

Repeated after 408, 429, 502, 503 and when nobody answers, with a doubling pause, `Retry-After` honoured
(CONTRACT §1.2). Every command of the API is safe to repeat (DESIGN §3, Group commit).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, overload

import msgspec

from headway.client.transport import Answer, Transport
from headway.core.errors import (
    Conflict,
    FencedError,
    Forbidden,
    Gone,
    HeadwayError,
    Invalid,
    LeaseLostError,
    Locked,
    NotFound,
    ServerUnreachable,
    Unavailable,
    UnexpectedReply,
)
from headway.core.settings import ClientSettings
from headway.wire.base import UNSET, Request

__all__ = ["REPEATED", "Caller", "body_of", "error_of"]

REPEATED = frozenset({408, 429, 502, 503})
LONGEST_PAUSE = 20.0
API_HINT = "Its URL ends in /api, e.g. http://127.0.0.1:4200/api; set HEADWAY_API_URL."
T = TypeVar("T")


class Caller:
    """Base of the resource groups: one method, `call`."""

    transport: Transport
    limits: ClientSettings
    headers: dict[str, str]

    @staticmethod
    async def sleep(seconds: float) -> None:
        """Let time pass; sync code has another way."""
        import asyncio  # sync code does without

        await asyncio.sleep(seconds)

    @overload
    async def call(
        self, method: str, path: str, *, body: Any = None, query: Mapping[str, Any] | None = None
    ) -> None: ...

    @overload
    async def call(
        self, method: str, path: str, *, reply: type[T], body: Any = None, query: Mapping[str, Any] | None = None
    ) -> T: ...

    async def call(
        self,
        method: str,
        path: str,
        *,
        reply: Any = None,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        """The decoded answer (`reply` is its type), or the error the server meant."""
        answer = await self.answer(method, path, body_of(body), query)
        self.check(answer, f"{method} {path}")
        return None if reply is None else msgspec.json.decode(answer[2], type=reply)

    @staticmethod
    def check(answer: Answer, asked: str) -> None:
        """Raise the error an answer stands for, if it does."""
        if answer[0] >= 400:
            raise error_of(answer, asked)

    async def answer(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        query: Mapping[str, Any] | None = None,
        *,
        repeats: int | None = None,
    ) -> Answer:
        """The raw answer, after `repeats` at most (default: the setting)."""
        headers = dict(self.headers)
        if content is not None:
            headers["Content-Type"] = "application/json"
        asked = {key: str(value) for key, value in (query or {}).items() if value is not None}
        tries = 1 + (self.limits.retries if repeats is None else repeats)
        for number in range(1, tries + 1):
            try:
                answer = await self.transport.request(method, path, asked or None, headers, content)
            except ServerUnreachable:
                if number == tries:
                    raise
                await self.sleep(self._pause(number, None))
                continue
            if answer[0] not in REPEATED or number == tries:
                return answer
            await self.sleep(self._pause(number, answer[1].get("retry-after")))
        raise AssertionError("the loop above returns or raises")

    def _pause(self, number: int, retry_after: str | None) -> float:
        if retry_after is not None:
            try:
                return min(max(float(retry_after), 0.0), 60.0)
            except ValueError:
                pass
        import random  # seldom needed

        pause = self.limits.backoff_seconds * 2.0 ** (number - 1) * random.uniform(0.7, 1.3)
        return min(pause, LONGEST_PAUSE)


def body_of(value: Any) -> bytes | None:
    """A request body. Top-level fields that are None by default and None now are left out.

    So fields that only Headway knows never reach a stock server unless they say something.
    """
    if value is None:
        return None
    if isinstance(value, Request):
        value = _slim(value)
    elif isinstance(value, list):
        value = [_slim(item) if isinstance(item, Request) else item for item in value]
    return msgspec.json.encode(value, enc_hook=_encode_unknown)


def _slim(struct: Request) -> dict[str, Any]:
    slim: dict[str, Any] = {}
    for name, key, optional in _fields(type(struct)):
        value = getattr(struct, name)
        if value is not UNSET and not (optional and value is None):
            slim[key] = value
    return slim


@cache
def _fields(type: type[Request]) -> tuple[tuple[str, str, bool], ...]:
    """Name, name on the wire, and whether None is its default, of each field; msgspec works it out each time."""
    return tuple((field.name, field.encode_name, field.default is None) for field in msgspec.structs.fields(type))


def _encode_unknown(value: Any) -> Any:
    if hasattr(value, "model_dump"):  # a pydantic model among parameters
        return value.model_dump(mode="json")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):  # a numpy scalar
        return value.item()
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def error_of(answer: Answer, asked: str) -> HeadwayError:
    """The error class that stands for an error answer, with the server's own words."""
    status, headers, content = answer
    detail, code = _detail(content)
    text = detail or f"{asked} was answered with status {status}."
    if status == 409:
        return FencedError(text) if code == FencedError("").code else Conflict(text, code=code)
    if status == 410:
        return LeaseLostError(text) if code == LeaseLostError.code else Gone(text)
    if status == 422:
        return Invalid(text, _location(content))
    if status in (423, 503):
        after = _number(headers.get("retry-after"))
        return Locked(text, after or 1.0) if status == 423 else Unavailable(text, after)
    if status in (401, 403):
        return Forbidden(detail or "The server refuses this key. Set HEADWAY_API_KEY to the right one.")
    if status == 404 and detail in ("", "Not Found"):  # no such route at all, rather than no such thing
        return NotFound(f"The server has no {asked}, so its URL is not that of a Headway API. {API_HINT}")
    if status == 404:
        return NotFound(text)
    return UnexpectedReply(f"{asked} was answered with status {status}: {detail or 'no reason given'}", status)


def _detail(content: bytes) -> tuple[str, str | None]:
    try:
        document = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return content.decode(errors="replace").strip()[:500], None
    if not isinstance(document, dict):
        return str(document)[:500], None
    faults = document.get("exception_detail")
    if isinstance(faults, list) and faults:
        return "; ".join(_fault_text(fault) for fault in faults), document.get("code")
    detail = document.get("detail") or document.get("exception_message") or ""
    return (detail if isinstance(detail, str) else str(detail)), document.get("code")


def _fault_text(fault: Any) -> str:
    if not isinstance(fault, dict):
        return str(fault)
    place = ".".join(str(step) for step in fault.get("loc", []) if step != "body")
    message = str(fault.get("msg", "not allowed"))
    return f"{place}: {message}" if place else message


def _location(content: bytes) -> list[str | int]:
    try:
        return list(msgspec.json.decode(content)["exception_detail"][0]["loc"])
    except (msgspec.DecodeError, LookupError, TypeError):
        return ["body"]


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
