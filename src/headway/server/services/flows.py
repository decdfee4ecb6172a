"""Flows: names that runs and deployments hang on."""

from __future__ import annotations

from uuid import UUID

import msgspec

from headway.core.clock import Clock
from headway.core.errors import NotFound
from headway.core.ids import new_id
from headway.store.protocols import Filters, Flows, Row
from headway.wire.flows import Flow, FlowCreate, FlowUpdate


class FlowService:
    """Create by name, read, change, delete, filter."""

    def __init__(self, store: Flows, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def create(self, body: FlowCreate) -> tuple[Flow, bool]:
        """The flow of that name and whether this call made it."""
        now = self._clock.now()
        values = {"id": new_id(), "created": now, "updated": now, "name": body.name, "tags": body.tags,
                  "labels": body.labels or {}}  # fmt: skip
        row, is_new = await self._store.create(values)
        return _wire(row), is_new

    async def read(self, id: UUID) -> Flow:
        row = await self._store.get(id)
        if row is None:
            raise NotFound(f"Flow {id} not found.")
        return _wire(row)

    async def read_by_name(self, name: str) -> Flow:
        row = await self._store.find(name=name)
        if row is None:
            raise NotFound(f"Flow '{name}' not found.")
        return _wire(row)

    async def update(self, id: UUID, body: FlowUpdate) -> None:
        changes = {} if body.tags is msgspec.UNSET or body.tags is None else {"tags": body.tags}
        if not await self._store.update(id, {**changes, "updated": self._clock.now()}):
            raise NotFound(f"Flow {id} not found.")

    async def delete(self, id: UUID) -> None:
        if not await self._store.delete(id):
            raise NotFound(f"Flow {id} not found.")

    async def delete_many(self, filters: Filters, limit: int) -> list[UUID]:
        """Delete the flows that match, at most `limit`; returns their ids."""
        found = await self._store.page(filters, limit=limit)
        return [row["id"] for row in found if await self._store.delete(row["id"])]

    async def page(self, filters: Filters, sort: str | None, limit: int, offset: int) -> list[Flow]:
        return [_wire(row) for row in await self._store.page(filters, sort=sort, limit=limit, offset=offset)]

    async def count(self, filters: Filters) -> int:
        return await self._store.count(filters)


def _wire(row: Row) -> Flow:
    return Flow(**row)
