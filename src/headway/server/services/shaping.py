"""From a store's row to a wire struct with nested parts."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from headway.store.protocols import Row

T = TypeVar("T", bound=msgspec.Struct)


def shaped(type: type[T], row: Row, **more: Any) -> T:
    """`row`, changed by `more`, as `type`; columns the wire does not show are dropped."""
    fields = {**row, **more}
    return msgspec.convert({name: fields[name] for name in type.__struct_fields__ if name in fields}, type)
