"""Bodies of error answers, and how a decoding error becomes one (CONTRACT §1.2)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from headway.wire.base import UNSET, Reply, UnsetType

__all__ = ["Fault", "InvalidRequest", "Problem", "fault_of", "invalid_request"]


class Problem(Reply):
    """Every error answer but 422: one line for a person and, for some, a `code` for programs."""

    detail: str
    code: str | UnsetType = UNSET


class Fault(Reply):
    """One thing wrong with a request: where (`loc`, from "body", "path" or "query" down), what, which kind."""

    loc: list[str | int]
    msg: str
    type: str = "value_error"


class InvalidRequest(Reply):
    """The body of a 422."""

    exception_message: str
    exception_detail: list[Fault]
    request_body: Any = None


def invalid_request(faults: list[Fault], request_body: Any = None) -> InvalidRequest:
    return InvalidRequest(
        exception_message="Invalid request received.",
        exception_detail=faults,
        request_body=request_body,
    )


MESSAGE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|\[(\.\.\.)\]")
UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")


def fault_of(error: Exception, within: tuple[str | int, ...] = ("body",)) -> Fault:
    """Where and what, from the error raised while decoding a body (or one parameter)."""
    if not isinstance(error, msgspec.ValidationError):
        return Fault(loc=list(within), msg=f"The body is not JSON: {error}", type="json_invalid")
    match = MESSAGE.match(str(error))
    what, path = (match["what"], match["path"]) if match else (str(error), None)
    loc = [*within, *steps(path or "")]
    if unknown := UNKNOWN.search(what):
        name = unknown["name"]
        message = f"Unknown field '{name}'. Remove it, or check its spelling."
        return Fault(loc=[*loc, name], msg=message, type="extra_forbidden")
    if missing := MISSING.search(what):
        return Fault(loc=[*loc, missing["name"]], msg="Field required", type="missing")
    if "matching regex" in what:  # the one pattern there is: base.Name
        what = "A name must not be empty or contain / % & > <"
    return Fault(loc=loc, msg=what)


def steps(path: str) -> list[str | int]:
    """`$.schedules[0].cron` as ["schedules", 0, "cron"]; a key of unknown name is "..."."""
    return [int(index) if index else key or wild for key, index, wild in STEP.findall(path)]
