"""Cancelling runs on the server's own word: what they belong to is about to be deleted."""

from __future__ import annotations

from uuid import UUID

from headway.core.errors import NotFound
from headway.core.rules.commands import Propose
from headway.core.states import Cancelled, Cancelling
from headway.server.services.transitions import Transitions

__all__ = ["RunCanceller"]


class RunCanceller:
    """`services.work_pools.Canceller` by way of the rules."""

    def __init__(self, transitions: Transitions) -> None:
        self._transitions = transitions

    async def cancel(self, flow_run_id: UUID, message: str, *, force: bool) -> None:
        """Propose CANCELLING; with `force`, CANCELLED at once. A run that is gone needs nothing."""
        state = Cancelled(message) if force else Cancelling(message)
        try:
            await self._transitions.submit(Propose(flow_run_id, state, force=force))
        except NotFound:
            return
