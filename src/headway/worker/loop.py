"""The loop that every worker shares: claim, start, watch, report, stop; renew and heartbeat beside it.

It knows no infrastructure (that is the driver) and decides no state (that is the server). Four tasks run
side by side: the claim loop, the renewal of all held attempts in one call, the heartbeat, and the sweep for
what nobody owns; plus one task per attempt. Stopping has three levels, each asked for by one more signal:
`drain` (no new work, wait), `stop_runs` (end them), and cancelling `run` (let go; the runs go on and are
adopted later).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from uuid import UUID, uuid4

from headway.core.errors import HeadwayError, NotFound, StartFailed
from headway.drivers.base import Handle
from headway.wire.workers import (
    Adoption,
    AttemptRef,
    Claim,
    ClaimReply,
    ClaimRequest,
    RenewReply,
    RenewRequest,
    StopOrder,
    WorkerHeartbeat,
    WorkerRegister,
)
from headway.worker.attempt import Attempt, Tools
from headway.worker.delivery import is_transient
from headway.worker.jobs import RunEnvironment, job_of
from headway.worker.memory import AttemptRecord
from headway.worker.sweeping import Sweeper

__all__ = ["Pace", "Worker"]

MOST_PER_CLAIM = 50
LONGEST_WAIT = 25.0
"""Below the 30 s that the server allows, and that proxies give a request that is silent."""
LEAST_PATIENCE = 0.5
"""Seconds that a renewal may take at least, however short the leases."""
RENEW_SHARE = 4
"""A lease is renewed four times in its life."""
Key = tuple[UUID, int]
T = TypeVar("T")
logger = logging.getLogger("headway.worker")


@dataclass(frozen=True, slots=True)
class Pace:
    """How often, in seconds. `wait`: how long a claim waits for work at the server; `poll`: how long the worker
    rests before it asks again where the server did not wait."""

    wait: float = LONGEST_WAIT
    poll: float = 1.0
    heartbeat: float = 10.0
    renew: float = 5.0
    stop_grace: float = 5.0
    sweep: float = 10.0


class _Outdated(Exception):
    """A waiting claim no longer asks for what the worker needs."""


def _without_more(request: ClaimRequest) -> ClaimRequest | None:
    """How to ask after a claim was broken off: for what it may have got already, and nothing else."""
    if not request.limit:
        return None
    return ClaimRequest(
        claim_id=request.claim_id, worker_id=request.worker_id, work_queue_names=request.work_queue_names, limit=0
    )


class Worker:
    """One registered worker. `registration` is what it registered with, also if it has to do so again."""

    def __init__(
        self, tools: Tools, pool: str, registration: WorkerRegister, environment: RunEnvironment, pace: Pace
    ) -> None:
        self._tools = tools
        self._pool = pool
        self._registration = registration
        self._environment = environment
        self._pace = pace
        self._renew_seconds = pace.renew
        self._attempts: dict[Key, Attempt] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._adopting: dict[Key, asyncio.Task[None]] = {}
        self._draining = False
        self._reachable = True
        self._wake = asyncio.Event()
        self._sweeper = Sweeper(
            tools.plane, tools.driver, tools.memory, pool, pace.stop_grace, lambda *key: key in self._attempts
        )
        assert registration.worker_id is not None
        self._worker_id: UUID = registration.worker_id

    @property
    def flow_run_ids(self) -> list[UUID]:
        return [run for run, _ in self._attempts]

    # -- life

    async def run(self, once: bool = False) -> None:
        """Work until drained (`once`: claim once, then drain). Raises what makes going on impossible."""
        for record in self._tools.memory.attempts():
            self._hold(Attempt(self._tools, record))
        beside = [
            asyncio.create_task(self._renewing()),
            asyncio.create_task(self._beating()),
            asyncio.create_task(self._sweeper.run(self._pace.sweep)),
        ]
        try:
            await self._claiming(once)
        finally:
            tasks = [*beside, *self._adopting.values(), *self._tasks.values()]
            for task in tasks:
                task.cancel()
            self._tools.reporter.close()
            await asyncio.gather(*tasks, return_exceptions=True)

    def drain(self) -> None:
        """Take no new work; `run` ends when what is running has ended."""
        self._draining = True
        self._wake.set()

    def stop_runs(self) -> None:
        """Also end what is running."""
        self.drain()
        for attempt in self._attempts.values():
            attempt.stop(self._pace.stop_grace, "the worker was told to stop its runs")

    # -- claiming

    async def _claiming(self, once: bool) -> None:
        request: ClaimRequest | None = None
        while not (self._draining and not self._attempts and not self._adopting):
            self._wake.clear()
            request = request or self._next_claim(0.0 if once else self._pace.wait)
            began = asyncio.get_running_loop().time()
            try:
                reply = await self._claim(request)
            except _Outdated:
                request = _without_more(request)
                continue
            if reply is not None:
                request = None  # until answered, the same claim id asks for the same runs
                self._take(reply)
                if once:
                    self.drain()
                lasted = asyncio.get_running_loop().time() - began
                if not self._draining and (reply.claims or lasted >= self._pace.poll):
                    continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._pace.poll)

    async def _claim(self, request: ClaimRequest) -> ClaimReply | None:
        """One claim; raises _Outdated when what it asks for has changed while it waits for work."""
        asking = asyncio.ensure_future(self._ask(partial(self._tools.plane.claim, self._pool, request)))
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            while not asking.done():
                await asyncio.wait({asking, waking}, return_when=asyncio.FIRST_COMPLETED)
                if asking.done():
                    break
                if request.wait_seconds and self._asks_otherwise(request):
                    raise _Outdated
                self._wake.clear()
                waking = asyncio.ensure_future(self._wake.wait())
            return asking.result()
        finally:
            waking.cancel()
            asking.cancel()

    def _asks_otherwise(self, request: ClaimRequest) -> bool:
        return self._draining or (request.limit == 0 and self._free() > 0)

    def _free(self) -> int:
        """How many more runs there is room for."""
        limit, held = self._registration.limit, sum(not attempt.is_over for attempt in self._attempts.values())
        return MOST_PER_CLAIM if limit is None else min(max(limit - held, 0), MOST_PER_CLAIM)

    def _next_claim(self, wait: float) -> ClaimRequest:
        return ClaimRequest(
            claim_id=uuid4(),
            worker_id=self._worker_id,
            work_queue_names=self._registration.work_queues,
            limit=0 if self._draining else self._free(),
            wait_seconds=wait,
        )

    def _take(self, reply: ClaimReply) -> None:
        for claim in reply.claims:
            if (claim.flow_run.id, claim.attempt) not in self._attempts:
                self._begin(claim)
        self._obey(reply.stop, reply.adopt)

    def _begin(self, claim: Claim) -> None:
        record = AttemptRecord(
            flow_run_id=claim.flow_run.id,
            attempt=claim.attempt,
            token=claim.token,
            name=claim.flow_run.name,
            grace_seconds=0.0,
            echo=False,
            handle=None,
            offsets={},
        )
        logger.info("Claimed flow run '%s' (attempt %d)", record.name, record.attempt)
        try:
            job = job_of(claim, self._tools.driver.Configuration, self._environment)
        except StartFailed as error:
            attempt = Attempt(self._tools, record)
            self._hold(attempt, attempt.refuse(error))
            return
        record.grace_seconds = job.configuration.grace_seconds
        record.echo = bool(getattr(job.configuration, "stream_output", False))
        self._hold(Attempt(self._tools, record, job, self._wake.set))

    def _hold(self, attempt: Attempt, work: Awaitable[None] | None = None) -> None:
        """Keep an attempt until its work is done."""
        key = (attempt.record.flow_run_id, attempt.record.attempt)
        self._attempts[key] = attempt
        task = asyncio.ensure_future(work if work is not None else attempt.run())
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._let_go(key))

    def _let_go(self, key: Key) -> None:
        self._attempts.pop(key, None)
        self._tasks.pop(key, None)
        self._wake.set()

    # -- orders

    def _obey(self, stop: Iterable[StopOrder], adopt: Iterable[Adoption]) -> None:
        for order in stop:
            attempt = self._attempts.get((order.flow_run_id, order.attempt))
            if attempt is not None:
                attempt.stop(order.grace_seconds, order.reason)
        for offer in adopt:
            self._adopt(offer)

    def _adopt(self, offer: Adoption) -> None:
        """Take over what a silent worker left, if it is within reach."""
        key = (offer.flow_run_id, offer.attempt)
        if key in self._attempts:
            self._attempts[key].record.token = offer.token
        elif key not in self._adopting and offer.handle and self._tools.driver.reaches(Handle.from_json(offer.handle)):
            task = asyncio.create_task(self._take_over(offer))
            self._adopting[key] = task
            task.add_done_callback(lambda _: self._adopting.pop(key, None))

    async def _take_over(self, offer: Adoption) -> None:
        """The first to renew has it; whoever comes later finds it lost."""
        ref = AttemptRef(flow_run_id=offer.flow_run_id, attempt=offer.attempt, token=offer.token)
        request = RenewRequest(worker_id=self._worker_id, attempts=[ref])
        reply = await self._try(partial(self._tools.plane.renew, self._pool, request), "Adoption")
        if reply is None or reply.lost:
            return
        key = (offer.flow_run_id, offer.attempt)
        logger.info("Adopting flow run %s (attempt %d) of worker '%s'", *key, offer.worker_name)
        record = self._tools.memory.inherit(offer.worker_name, *key) or AttemptRecord(
            flow_run_id=offer.flow_run_id,
            attempt=offer.attempt,
            token=offer.token,
            name=str(offer.flow_run_id),
            grace_seconds=self._pace.stop_grace,
            echo=False,
            handle=offer.handle,
            offsets={},
        )
        record.token, record.handle = offer.token, offer.handle
        attempt = Attempt(self._tools, record, None, self._wake.set)
        self._hold(attempt)
        if offer.cancelling:
            attempt.stop(self._pace.stop_grace, "it was cancelled while its worker was away")
        self._obey(reply.stop, ())

    # -- beside the claims

    async def _renewing(self) -> None:
        pause = self._renew_seconds
        while True:
            await asyncio.sleep(pause)
            pause = self._renew_seconds
            refs = [attempt.ref for attempt in self._attempts.values()]
            if refs:
                request = RenewRequest(worker_id=self._worker_id, attempts=refs)
                asked = self._try(partial(self._tools.plane.renew, self._pool, request), "Renewal")
                try:
                    reply = await asyncio.wait_for(asked, max(pause / 2, LEAST_PATIENCE))
                except TimeoutError:
                    pause = 0.0  # a replica that hangs must not cost the lease: the next connection may lead to another
                    continue
                if reply is not None:
                    self._renewed(reply)

    def _renewed(self, reply: RenewReply) -> None:
        self._renew_seconds = min(self._pace.renew, reply.lease_seconds / RENEW_SHARE)
        for lost in reply.lost:
            attempt = self._attempts.get((lost.flow_run_id, lost.attempt))
            if attempt is not None:
                attempt.lose()
        self._obey(reply.stop, reply.adopt)

    async def _beating(self) -> None:
        while True:
            await asyncio.sleep(self._pace.heartbeat)
            mine = self._registration
            heartbeat = WorkerHeartbeat(
                name=mine.name,
                heartbeat_interval_seconds=self._pace.heartbeat,
                type=mine.type,
                work_queues=mine.work_queues,
                limit=mine.limit,
                flow_run_ids=self.flow_run_ids,
                worker_id=self._worker_id,
            )
            await self._try(partial(self._tools.plane.send_worker_heartbeat, self._pool, heartbeat), "Heartbeat")

    # -- the server, there or not

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """One call; None while the server is away, which is said once when it goes and once when it returns."""
        try:
            answer = await call()
        except NotFound:
            await self._register_again()
            return None
        except HeadwayError as error:
            if not is_transient(error):
                raise
            if self._reachable:
                self._reachable = False
                logger.warning("%s Runs go on; what they report is kept until it is back.", error.message)
            return None
        if not self._reachable:
            self._reachable = True
            logger.info("Connected again to %s", self._tools.plane.url)
        return answer

    async def _try(self, call: Callable[[], Awaitable[T]], what: str) -> T | None:
        """The same beside the claims, which alone decide whether going on is impossible."""
        try:
            return await self._ask(call)
        except HeadwayError as error:
            logger.warning("%s was refused: %s", what, error.message)
            return None

    async def _register_again(self) -> None:
        """The server does not know this worker any more; raises NotFound if the pool itself is gone."""
        registration = self._registration
        registration.flow_run_ids = self.flow_run_ids
        answer = await self._tools.plane.register_worker(self._pool, registration)
        self._worker_id = answer.worker_id
