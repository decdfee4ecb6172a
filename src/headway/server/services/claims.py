"""Handing out runs: claims of Headway's workers, and the two polls of the reference's (CONTRACT §2.4, DESIGN §3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from headway.core.clock import Clock
from headway.core.errors import HeadwayError
from headway.core.rules.commands import EndAttempt, Ending
from headway.core.settings import ServerSettings
from headway.core.templates import resolve
from headway.server.services.estimates import estimates
from headway.server.services.shaping import shaped
from headway.server.services.transitions import Transitions, terms_of
from headway.store.protocols import ClaimOf, Claims, Row, RunRecords
from headway.wire.deployments import Deployment
from headway.wire.flow_runs import FlowRun
from headway.wire.flows import Flow
from headway.wire.work_pools import ScheduledRun
from headway.wire.workers import Adoption, Claim, ClaimReply, ClaimRequest, StopOrder

__all__ = ["ClaimService"]


class ClaimService:
    """Claims and polls; both see the same runs."""

    def __init__(
        self, store: Claims, records: RunRecords, transitions: Transitions, clock: Clock, settings: ServerSettings
    ) -> None:
        self._store = store
        self._records = records
        self._transitions = transitions
        self._clock = clock
        self._settings = settings
        self._terms = terms_of(settings)

    async def claim(self, pool: str, body: ClaimRequest) -> ClaimReply:
        """The next runs, now the worker's, with all it needs to start them; and its orders.

        A run whose job configuration cannot be made is not handed out: it is CRASHED with the reason.
        """
        request = ClaimOf(
            pool=pool,
            claim_id=body.claim_id,
            worker_id=body.worker_id,
            queues=body.work_queue_names,
            limit=body.limit,
            grace=self._settings.cancel_grace_seconds,
        )
        claimed = await self._store.claim(request, self._clock.now(), self._terms)
        claims = await self._claims(claimed.attempts) if claimed.attempts else []
        return ClaimReply(claims=claims, stop=stop_orders(claimed.stop), adopt=adoptions(claimed.adopt))

    async def _claims(self, attempts: Sequence[Row]) -> list[Claim]:
        ids = [attempt["flow_run_id"] for attempt in attempts]
        around = {row["run"]["id"]: row for row in await self._records.with_surroundings(ids)}
        claims = []
        for attempt in attempts:
            row = around[attempt["flow_run_id"]]
            try:
                claims.append(self._claim(attempt, row))
            except HeadwayError as error:
                await self._refuse(attempt, error.message)
        return claims

    def _claim(self, attempt: Row, around: Row) -> Claim:
        run, deployment, pool = around["run"], around["deployment"], around["work_pool"]
        variables = None if deployment is None else deployment["job_variables"]
        return Claim(
            flow_run=self._run(run),
            flow=shaped(Flow, around["flow"]),
            deployment=None if deployment is None else shaped(Deployment, deployment),
            attempt=attempt["number"],
            token=attempt["token"],
            lease_seconds=self._terms.lease_ttl,
            configuration=resolve(pool["base_job_template"], variables, run["job_variables"]),
            work_queue_name=around["work_queue"]["name"],
            work_pool_name=pool["name"],
        )

    async def _refuse(self, attempt: Row, reason: str) -> None:
        message = f"The job configuration of this run cannot be made: {reason}"
        outcome = {"reason": "configuration", "message": message}
        command = EndAttempt(
            attempt["flow_run_id"],
            attempt["number"],
            Ending.START_FAILED,
            token=attempt["token"],
            outcome=outcome,
            retryable=False,
        )
        await self._transitions.submit(command)

    async def due_of_pool(
        self,
        pool: str,
        queues: Sequence[str],
        before: datetime | None,
        after: datetime | None,
        limit: int,
    ) -> list[ScheduledRun]:
        """What a worker of the reference polls; the runs become its own by PENDING only."""
        now = self._clock.now()
        ids = await self._store.waiting(pool, queues, before or now, after, limit, now)
        return [
            ScheduledRun(work_pool_id=run.work_pool_id, work_queue_id=run.work_queue_id, flow_run=run)
            for run in await self._runs(ids)
            if run.work_pool_id is not None and run.work_queue_id is not None
        ]

    async def due_of_queue(self, queue_id: UUID, before: datetime | None, limit: int) -> list[FlowRun]:
        now = self._clock.now()
        return await self._runs(await self._store.waiting_of_queue(queue_id, before or now, limit, now))

    async def _runs(self, ids: Sequence[UUID]) -> list[FlowRun]:
        found = {row["id"]: row for row in await self._records.runs(ids)} if ids else {}
        return [self._run(found[id]) for id in ids if id in found]

    def _run(self, row: Row) -> FlowRun:
        return shaped(FlowRun, row, **estimates(row, self._clock.now()))


def stop_orders(rows: Sequence[Mapping[str, Any]]) -> list[StopOrder]:
    return msgspec.convert(rows, list[StopOrder])


def adoptions(rows: Sequence[Mapping[str, Any]]) -> list[Adoption]:
    return msgspec.convert(rows, list[Adoption])
