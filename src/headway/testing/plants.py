"""A world with a worker in it, and the services and loops that runs in a worker's hands meet; for unit tests."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from headway.core.ids import new_id
from headway.core.rules.facts import Caller
from headway.server.loops.cancellations import Cancellations
from headway.server.loops.late_runs import LateRuns
from headway.server.loops.pause_expiry import PauseExpiry
from headway.server.loops.reaper import Reaper
from headway.server.services.attempts import AttemptService
from headway.server.services.claims import ClaimService
from headway.store.attempts import AttemptStore
from headway.store.claims import ClaimStore
from headway.store.run_records import RunRecordStore
from headway.store.tables import flow_run, flow_run_state
from headway.testing.worlds import World
from headway.wire.workers import (
    AttemptEvent,
    AttemptRef,
    AttemptReport,
    Claim,
    ClaimReply,
    ClaimRequest,
    RenewReply,
    RenewRequest,
)

__all__ = ["Plant", "engine"]


class Plant:
    """A world with a worker, and the services around it."""

    def __init__(self, world: World) -> None:
        self.world = world
        store = AttemptStore(world.database)
        common = (world.transitions, world.clock, world.settings)
        self.claims = ClaimService(ClaimStore(world.database), RunRecordStore(world.database), *common, world.wakes)
        self.attempts = AttemptService(store, *common)
        self.reaper = Reaper(store, world.clock, world.settings, world.wakes)
        self.late = LateRuns(store, *common)
        self.pauses = PauseExpiry(store, *common)
        self.cancellations = Cancellations(store, *common)
        self.worker = new_id()

    async def claim(self, limit: int = 10, queues: list[str] | None = None, **more: Any) -> ClaimReply:
        ids = {"claim_id": new_id(), "worker_id": self.worker, **more}
        reply = await self.claims.claim("pool", ClaimRequest(limit=limit, work_queue_names=queues or [], **ids))
        return msgspec.json.decode(msgspec.json.encode(reply), type=ClaimReply)  # as it reaches a worker

    async def claimed(self) -> Claim:
        return (await self.claim(1)).claims[0]

    async def renew(self, *claims: Claim, worker: UUID | None = None) -> RenewReply:
        held = [AttemptRef(claim.flow_run.id, claim.attempt, claim.token) for claim in claims]
        return await self.attempts.renew("pool", RenewRequest(worker or self.worker, held))

    async def report(self, claim: Claim, event: AttemptEvent, **more: Any) -> Any:
        report = AttemptReport(token=claim.token, event=event, **more)
        return await self.attempts.report(claim.flow_run.id, claim.attempt, report)

    async def pass_time(self, seconds: float) -> int:
        """Let time pass with the reaper looking every two seconds; how many attempts were lost."""
        lost = await self.reaper.run_once()
        for _ in range(int(seconds / 2)):
            self.world.clock.advance(2)
            lost += await self.reaper.run_once()
        return lost

    async def run(self, id: UUID) -> dict[str, Any]:
        return await self.world.row(flow_run, id=id)

    async def history(self, id: UUID) -> list[str]:
        return [row["name"] for row in await self.world.rows(flow_run_state, flow_run_id=id)]


def engine(claim: Claim, nonce: str = "n1") -> Caller:
    """The fence of the process that executes a claimed run."""
    return Caller(claim.token, nonce, claim.attempt)
