"""What two JSON replies have in common: keys and kinds of values, not the values."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, NamedTuple

ID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


class Gap(NamedTuple):
    """One place where two replies differ: `at` is a JSON path, lists are `[]`; `what` says how."""

    at: str
    what: str


def gaps(theirs: Any, ours: Any, at: str = "$") -> list[Gap]:
    """All differences, each place once, in order."""
    return list(dict.fromkeys(_gaps(theirs, ours, at)))


def _gaps(theirs: Any, ours: Any, at: str) -> list[Gap]:
    if kind(theirs) != kind(ours):
        return [Gap(at, f"{kind(theirs)} != {kind(ours)}")]
    if isinstance(theirs, dict):
        missing = [Gap(f"{at}.{key}", "only theirs") for key in theirs if key not in ours]
        extra = [Gap(f"{at}.{key}", "only ours") for key in ours if key not in theirs]
        both = [gap for key in theirs if key in ours for gap in _gaps(theirs[key], ours[key], f"{at}.{key}")]
        return [*missing, *extra, *both]
    if isinstance(theirs, list):
        lengths = [Gap(at, f"length {len(theirs)} != {len(ours)}")] if len(theirs) != len(ours) else []
        pairs = alike(theirs, ours, at)
        return [*lengths, *(gap for left, right in pairs for gap in _gaps(left, right, f"{at}[]"))]
    return []


def alike(theirs: list[Any], ours: list[Any], at: str) -> list[tuple[Any, Any]]:
    """Each of theirs with the one of ours that is most like it: lists may come in different orders."""
    left, pairs = list(ours), []
    for element in theirs[: len(ours)]:
        best = min(range(len(left)), key=lambda index: len(_gaps(element, left[index], at)))
        pairs.append((element, left.pop(best)))
    return pairs


def kind(value: Any) -> str:
    """null, boolean, number, id, time, text, list or object."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return kind_of_text(value)
    return "list" if isinstance(value, list) else "object"


def kind_of_text(value: str) -> str:
    if ID.match(value):
        return "id"
    if len(value) > 18:
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return "text"
        return "time"
    return "text"
