"""Who may add to the records of a run: logs, events and reports of task runs (DESIGN §3, Fencing)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar
from uuid import UUID

from headway.core.errors import HeadwayError
from headway.core.rules.facts import Caller
from headway.store.protocols import Attempts

__all__ = ["Fences", "Kept"]

T = TypeVar("T")


class Kept:
    """What of a request may be kept; `close` raises why the rest was refused, once this is kept."""

    def __init__(self, refused: dict[UUID, HeadwayError]) -> None:
        self._refused = refused

    def of(self, records: Sequence[T], run_ids: Sequence[UUID | None]) -> Sequence[T]:
        """Those of the records, each about the run beside it, that are not refused."""
        if not self._refused:
            return records
        return [one for one, run in zip(records, run_ids, strict=True) if run not in self._refused]

    def close(self) -> None:
        """Raise FencedError (409) or LeaseLostError (410) if anything was refused: its sender is to stop."""
        for error in self._refused.values():
            raise error


class Fences:
    """Compares the fence of a request with the attempts of the runs it writes about. Without a fence (stock engines,
    workers that ship output) nothing is refused."""

    def __init__(self, store: Attempts) -> None:
        self._store = store

    async def kept(self, run_ids: Iterable[UUID | None], caller: Caller | None) -> Kept:
        if caller is None or not caller.fenced:
            return Kept({})
        return Kept(await self._store.fenced_out({id for id in run_ids if id is not None}, caller))
