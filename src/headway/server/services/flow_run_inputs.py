"""Inputs of flow runs: what a paused run asks for, what it was answered, and messages to a run."""

from __future__ import annotations

from uuid import UUID

from headway.core.clock import Clock
from headway.core.errors import NotFound
from headway.core.ids import new_id
from headway.server.services.shaping import shaped
from headway.store.protocols import FlowRunInputs
from headway.wire.flow_runs import FlowRunInput, FlowRunInputCreate, FlowRunInputQuery

__all__ = ["FlowRunInputService"]


class FlowRunInputService:
    """Text by key, per flow run."""

    def __init__(self, store: FlowRunInputs, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def create(self, run_id: UUID, body: FlowRunInputCreate) -> None:
        """Raises NotFound for an unknown run, Conflict for a key that is there already."""
        now = self._clock.now()
        await self._store.create(
            {
                "id": new_id(),
                "created": now,
                "updated": now,
                "flow_run_id": run_id,
                "key": body.key,
                "value": body.value,
                "sender": body.sender,
            }
        )

    async def read(self, run_id: UUID, key: str) -> str:
        row = await self._store.get(run_id, key)
        if row is None:
            raise NotFound("Flow run input not found")
        return str(row["value"])

    async def filter(self, run_id: UUID, body: FlowRunInputQuery) -> list[FlowRunInput]:
        """Those whose key starts with the prefix, oldest first."""
        limit = 1 if body.limit is None else max(0, body.limit)
        found = await self._store.starting_with(run_id, body.prefix, body.exclude_keys or [], limit)
        return [shaped(FlowRunInput, row) for row in found]

    async def delete(self, run_id: UUID, key: str) -> None:
        if not await self._store.delete(run_id, key):
            raise NotFound("Flow run input not found")
