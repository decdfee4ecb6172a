"""What services may ask of a store: one small role each, so that a service names what it needs.

Rows are dictionaries keyed by the wire's field names; times are UTC datetimes, ids are UUIDs. Every
method that writes returns after its transaction is durable. Methods raise headway.core.errors only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

Row = dict[str, Any]
Filters = Mapping[str, Any]


class Records(Protocol):
    """Reading and changing the rows of one resource."""

    async def get(self, id: UUID) -> Row | None: ...

    async def find(self, **where: Any) -> Row | None: ...

    async def page(
        self, filters: Filters, *, sort: str | None = None, limit: int | None = 200, offset: int = 0
    ) -> list[Row]: ...

    async def count(self, filters: Filters) -> int: ...

    async def update(self, id: UUID, values: Mapping[str, Any]) -> bool: ...

    async def delete(self, id: UUID) -> bool: ...


class Flows(Records, Protocol):
    """Flows, unique by name."""

    async def create(self, values: Row) -> tuple[Row, bool]:
        """The flow of that name and whether it is new; an existing one is returned unchanged."""
        ...
