"""Flow runs as the wire shows them, by their ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from headway.store.database import Database
from headway.store.protocols import RawRun
from headway.store.run_pages import runs_by_id

__all__ = ["RunRecordStore"]

T = TypeVar("T")


class RunRecordStore:
    """`store.protocols.RunRecords` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def raw_runs(self, shape: Callable[[list[RawRun]], T], ids: Sequence[UUID]) -> T:
        return await self.database.read(lambda connection: shape(runs_by_id(connection, ids)))
