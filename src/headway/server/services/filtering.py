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
    named = {name: getattr(body, name) for name in _SCOPE if getattr(body, name, None) is not None}
    plain: dict[str, Any] = msgspec.to_builtins(named, builtin_types=(UUID, datetime))
    return plain


def page_count(count: int, limit: int) -> int:
    """Pages of `limit` that hold `count` results."""
    return -(-count // limit) if limit else 0
