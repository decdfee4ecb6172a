"""From a decoded /filter body to the plain mapping that stores take, and pages of results."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from headway.wire.filters import Scope

_SCOPE = Scope.__struct_fields__


def criteria(body: Scope) -> dict[str, Any]:
    """The filters a body carries, as builtins (ids stay UUID, times stay datetime), empty ones left out."""
    return criteria_of(**{name: getattr(body, name, None) for name in _SCOPE})


def criteria_of(**filters: Any) -> dict[str, Any]:
    """The same from filters that a body carries under other names."""
    return plain({name: value for name, value in filters.items() if value is not None})


def plain(value: Any) -> dict[str, Any]:
    """One filter as builtins; nothing given is an empty one."""
    builtins: dict[str, Any] = msgspec.to_builtins({} if value is None else value, builtin_types=(UUID, datetime))
    return builtins


def page_count(count: int, limit: int) -> int:
    """Pages of `limit` that hold `count` results."""
    return -(-count // limit) if limit else 0
