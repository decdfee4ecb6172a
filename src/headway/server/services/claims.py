"""Handing out runs: claims of Headway's workers, and the two polls of the reference's (CONTRACT §2.4, DESIGN §3)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from headway.core.clock import Clock
from headway.core.errors import HeadwayError
from headway.core.rules.commands import EndAttempt, Ending
from headway.core.settings import ServerSettings
from headway.core.templates import resolve
from headway.server.services.batches import Batches
from headway.server.services.run_pages import encode_runs, encode_scheduled, wire_runs
from headway.server.services.shaping import shaped
from headway.server.services.transitions import Transitions, terms_of
from headway.server.services.wakes import Wakes
from headway.store.protocols import Claimed, ClaimOf, Claims, Row, RunRecords
from headway.wire.deployments import Deployment
from headway.wire.flow_runs import FlowRun
from headway.wire.flows import Flow
from headway.wire.work_pools import Backlog
from headway.wire.workers import Adoption, Claim, ClaimReply, ClaimRequest, StopOrder

__all__ = ["ClaimService"]

T = TypeVar("T", bound=msgspec.Struct)


TELL_AGAIN_SECONDS = 5.0
"""An order that a worker has been told does not answer his waiting claim again before that."""


class ClaimService:
    """Claims and polls; both see the same runs."""

    def __init__(
        self,
        store: Claims,
        records: RunRecords,
        transitions: Transitions,
        clock: Clock,
        settings: ServerSettings,
        wakes: Wakes | None = None,
    ) -> None:
        self._store = store
        self._records = records
        self._transitions = transitions
        self._clock = clock
        self._settings = settings
        self._wakes = wakes or Wakes()
        self._terms = terms_of(settings)
        self._looks: Batches[ClaimOf, Claimed] = Batches("claims", self._look)
        self._pool_ids: dict[str, UUID] = {}
        self._told: dict[tuple[UUID, UUID, int], float] = {}
        self._marking: set[UUID] = set()

    async def claim(self, pool: str, body: ClaimRequest) -> ClaimReply:
        """The next runs, now the worker's, with all it needs to start them; and its orders.

        Waits up to `wait_seconds` for the first of either. A run whose job configuration cannot be made is not
        handed out: it is CRASHED with the reason.
        """
        request = ClaimOf(
            pool=pool,
            claim_id=body.claim_id,
            worker_id=body.worker_id,
            queues=body.work_queue_names,
            limit=body.limit,
            grace=self._settings.cancel_grace_seconds,
        )
        end = asyncio.get_running_loop().time() + body.wait_seconds
        if pool not in self._pool_ids or not body.wait_seconds:
            reply, _ = await self._answer(request)
            if not body.wait_seconds or reply is not None:
                return reply or ClaimReply()
        return await self._wait(request, end)

    async def _wait(self, request: ClaimOf, end: float) -> ClaimReply:
        loop = asyncio.get_running_loop()
        pool_id = self._pool_ids[request.pool]
        with self._wakes.listen(pool_id) as bell:
            while True:
                bell.clear()
                reply, found = await self._answer(request)
                request = replace(request, fresh=False)
                if found.dismissed or found.pool_id != pool_id:  # its worker is silent, or its pool was made anew
                    return reply or ClaimReply()
                if reply is not None and (reply.claims or self._is_news(request.worker_id, reply, loop.time())):
                    return reply
                if found.more:
                    continue
                if found.next_due is not None:
                    self._wakes.due_in(pool_id, (found.next_due - self._clock.now()).total_seconds())
                if not await bell.wait(end - loop.time()):
                    return reply or ClaimReply()

    async def _answer(self, request: ClaimOf) -> tuple[ClaimReply | None, Claimed]:
        """One look; None if there is nothing to say."""
        found = await self._looks.submit(request)
        self._pool_ids[request.pool] = found.pool_id
        claims = await self._claims(found.attempts) if found.attempts else []
        if not claims:
            await self._mark(found.stale)
        if not (claims or found.stop or found.adopt):
            return None, found
        return ClaimReply(claims=claims, stop=stop_orders(found.stop), adopt=adoptions(found.adopt)), found

    async def _look(self, requests: Sequence[ClaimOf]) -> Sequence[Claimed | HeadwayError]:
        return await self._store.claim(requests, self._clock.now(), self._terms)

    def _is_news(self, worker_id: UUID, reply: ClaimReply, now: float) -> bool:
        """Whether an order is among them that this worker has not been told lately; renewals tell him again."""
        told: list[StopOrder | Adoption] = [*reply.stop, *reply.adopt]
        orders = [(worker_id, order.flow_run_id, order.attempt) for order in told]
        news = [order for order in orders if now - self._told.get(order, -TELL_AGAIN_SECONDS) >= TELL_AGAIN_SECONDS]
        if news:
            self._told = {order: at for order, at in self._told.items() if now - at < TELL_AGAIN_SECONDS}
            self._told.update(dict.fromkeys(news, now))
        return bool(news)

    async def _mark(self, stale: Sequence[UUID]) -> None:
        """Whoever waits for runs of a queue polls it; one write for all who do."""
        mine = [id for id in stale if id not in self._marking]
        if mine:
            self._marking.update(mine)
            try:
                await self._store.polled(mine, self._clock.now())
            finally:
                self._marking.difference_update(mine)

    async def _claims(self, attempts: Sequence[Row]) -> list[Claim]:
        claims = []
        seen = _Shapes()
        runs = wire_runs([attempt["run"] for attempt in attempts], self._clock.now())
        for attempt, run in zip(attempts, runs, strict=True):
            try:
                claims.append(self._claim(attempt, run, seen))
            except HeadwayError as error:
                await self._refuse(attempt, error.message)
        return claims

    def _claim(self, attempt: Row, run: FlowRun, seen: _Shapes) -> Claim:
        deployment = attempt["deployment"]
        return Claim(
            flow_run=run,
            flow=seen.of(Flow, attempt["flow"]),
            deployment=None if deployment is None else seen.of(Deployment, deployment),
            attempt=attempt["number"],
            token=attempt["token"],
            lease_seconds=self._terms.lease_ttl,
            configuration=seen.configuration(attempt),
            work_queue_name=attempt["work_queue"]["name"],
            work_pool_name=attempt["work_pool"]["name"],
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

    async def backlog(self, pool: str, queue: str | None) -> Backlog:
        """What waits and runs in a pool, or in one of its queues, and how much more could."""
        now = self._clock.now()
        found = await self._store.backlog(pool, [] if queue is None else [queue], now)
        oldest: datetime | None = found.pop("oldest")
        return Backlog(oldest_seconds=None if oldest is None else (now - oldest).total_seconds(), **found)

    async def due_of_pool(
        self,
        pool: str,
        queues: Sequence[str],
        before: datetime | None,
        after: datetime | None,
        limit: int,
    ) -> msgspec.Raw:
        """What a worker of the reference polls, encoded; the runs become its own by PENDING only."""
        now = self._clock.now()
        ids = await self._store.waiting(pool, queues, before or now, after, limit, now)
        return await self._records.raw_runs(partial(encode_scheduled, now=now), ids)

    async def due_of_queue(self, queue_id: UUID, before: datetime | None, limit: int) -> msgspec.Raw:
        """The same of one queue, as an array of `FlowRun`s."""
        now = self._clock.now()
        ids = await self._store.waiting_of_queue(queue_id, before or now, limit, now)
        return await self._records.raw_runs(partial(encode_runs, now=now), ids)


class _Shapes:
    """Flows, deployments and job configurations of a claim as the wire has them; many runs have the same."""

    def __init__(self) -> None:
        self._made: dict[tuple[type, UUID], Any] = {}
        self._configurations: dict[UUID | None, dict[str, Any]] = {}

    def configuration(self, attempt: Row) -> dict[str, Any]:
        """Raises TemplateError."""
        template, deployment = attempt["work_pool"]["base_job_template"], attempt["deployment"]
        own = attempt["job_variables"]
        variables = None if deployment is None else deployment["job_variables"]
        if own:
            return resolve(template, variables, own)
        key = None if deployment is None else deployment["id"]
        if key not in self._configurations:
            self._configurations[key] = resolve(template, variables, own)
        return self._configurations[key]

    def of(self, type: type[T], row: Row) -> T:
        key = type, row["id"]
        if key not in self._made:
            self._made[key] = shaped(type, row)
        made: T = self._made[key]
        return made


def stop_orders(rows: Sequence[Mapping[str, Any]]) -> list[StopOrder]:
    return msgspec.convert(rows, list[StopOrder])


def adoptions(rows: Sequence[Mapping[str, Any]]) -> list[Adoption]:
    return msgspec.convert(rows, list[Adoption])
