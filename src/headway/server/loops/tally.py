"""Adds up what triggers note about runs that end, so that counting stays as quick as it was (store/tally.py)."""

from __future__ import annotations

from typing import ClassVar

from headway.server.loops.base import Loop
from headway.store.protocols import Tallies

__all__ = ["TallyLoop"]

EVERY_SECONDS = 30.0


class TallyLoop(Loop):
    """A pass adds up page by page, each in a write of its own that holds nobody up for long."""

    name: ClassVar[str] = "tally"

    def __init__(self, store: Tallies) -> None:
        super().__init__(EVERY_SECONDS)
        self._store = store

    async def run_once(self) -> int:
        """How many pages were added up."""
        pages = 0
        while not self.stopping and await self._store.fold():
            pages += 1
        return pages
