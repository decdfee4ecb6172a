"""The states that runs went through."""

from __future__ import annotations

from uuid import UUID

from headway.core.errors import NotFound
from headway.server.services.shaping import shaped
from headway.store.protocols import States
from headway.wire.states import State

__all__ = ["StateService"]


class StateService:
    """History of flow runs or of task runs; `noun` is what a missing one is called."""

    def __init__(self, store: States, noun: str) -> None:
        self._store = store
        self._noun = noun

    async def read(self, id: UUID) -> State:
        row = await self._store.get(id)
        if row is None:
            raise NotFound(f"{self._noun} not found")
        return shaped(State, row)

    async def of_run(self, run_id: UUID) -> list[State]:
        """Oldest first; none for a run that does not exist."""
        return [shaped(State, row) for row in await self._store.of_run(run_id)]
