"""Claims: a worker takes runs, all in one transaction (DESIGN §3)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, or_, select, update

from headway.core.errors import NotFound
from headway.core.nearest import suggestion
from headway.core.rules.commands import Claim, Decision
from headway.core.rules.facts import Terms
from headway.store.attempts import adopt, stop_orders
from headway.store.database import Database
from headway.store.protocols import Claimed, ClaimOf
from headway.store.records import Row, one, rows
from headway.store.tables import attempt, deployment, live_run, slot, work_pool, work_queue, worker
from headway.store.transitions import decide_and_apply
from headway.store.waiting import Line, next_runs
from headway.store.work_queues import find_pool, queues_of

__all__ = ["ClaimStore"]

POLLED_AFTER = timedelta(seconds=5)
"""A queue's `last_polled` is written at most this often, so that an empty poll costs no commit."""

MAX_CANCELLED = 50


class ClaimStore:
    """`store.protocols.Claims` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def claim(self, request: ClaimOf, now: datetime, terms: Terms) -> Claimed:
        if not await self.database.read(_anything_to_do, request, now, terms):
            return Claimed()
        return await self.database.write(_claim, request, now, terms)

    async def waiting(
        self, pool: str, queues: Sequence[str], before: datetime, after: datetime | None, limit: int, now: datetime
    ) -> list[UUID]:
        found, stale = await self.database.read(_waiting, pool, queues, before, after, limit, now)
        if stale:
            await self.database.write(_mark_polled, stale, now)
        return found

    async def waiting_of_queue(self, queue_id: UUID, before: datetime, limit: int, now: datetime) -> list[UUID]:
        found, stale = await self.database.read(_waiting_of_queue, queue_id, before, limit, now)
        if stale:
            await self.database.write(_mark_polled, stale, now)
        return found


@dataclass(frozen=True, slots=True)
class Served:
    """A pool, and those of its queues that a request names."""

    pool: Row
    queues: list[Row]

    def stale(self, now: datetime) -> list[UUID]:
        """The queues whose `last_polled` is worth writing."""
        return [q["id"] for q in self.queues if q["last_polled"] is None or now - q["last_polled"] > POLLED_AFTER]


def _served(connection: Connection, pool_name: str, names: Sequence[str]) -> Served:
    pool = find_pool(connection, pool_name)
    queues = queues_of(connection, pool["id"])
    known = {queue["name"]: queue for queue in queues}
    for name in names:
        if name not in known:
            raise NotFound(f"Work queue '{name}' not found in work pool '{pool_name}'.{suggestion(name, list(known))}")
    return Served(pool, [known[name] for name in names] if names else queues)


def _line(served: Served, before: datetime, limit: int, after: datetime | None = None) -> Line:
    ids = [queue["id"] for queue in served.queues]
    return Line(before, limit, pool_id=served.pool["id"], queue_ids=ids, after=after)


def _anything_to_do(connection: Connection, request: ClaimOf, now: datetime, terms: Terms) -> bool:
    """Whether a claim would write: most polls find nothing and should cost no commit."""
    served = _served(connection, request.pool, request.queues)
    _known_worker(connection, served.pool, request.worker_id)
    if served.stale(now) or one(connection, attempt, claim_id=request.claim_id) is not None:
        return True
    if request.limit and next_runs(connection, _line(served, now, 1)):
        return True
    if request.limit and _turned_away(connection, served, now):
        return True
    return bool(
        stop_orders(connection, request.worker_id, now, request.grace)
        or adopt(connection, served.pool["id"], request.worker_id, "", now, terms, look_only=True)
    )


def _claim(connection: Connection, request: ClaimOf, now: datetime, terms: Terms) -> Claimed:
    served = _served(connection, request.pool, request.queues)
    me = _known_worker(connection, served.pool, request.worker_id)
    _mark_polled(connection, served.stale(now), now)
    mine = select(attempt).where(attempt.c.claim_id == request.claim_id, attempt.c.ended.is_(None))
    opened = rows(connection, mine)
    if not opened and one(connection, attempt, claim_id=request.claim_id) is None:
        opened = _take(connection, request, served, me, now, terms)
    return Claimed(
        attempts=opened,
        stop=stop_orders(connection, me["id"], now, request.grace),
        adopt=adopt(connection, served.pool["id"], me["id"], me["name"], now, terms),
    )


def _take(connection: Connection, request: ClaimOf, served: Served, me: Row, now: datetime, terms: Terms) -> list[Row]:
    ids = next_runs(connection, _line(served, now, request.limit))
    turned_away = _turned_away(connection, served, now) if request.limit else []
    commands = [_command(request, served, me, id, now, terms) for id in (*ids, *turned_away)]
    outcomes = decide_and_apply(connection, commands, now, terms)
    opened = []
    for outcome in outcomes:
        if isinstance(outcome, Decision) and outcome.written and outcome.attempt and outcome.attempt.alive:
            opened.append(outcome.attempt)
    return [
        {
            "flow_run_id": a.run_id,
            "number": a.number,
            "token": a.token,
            "work_pool_id": a.work_pool_id,
            "lease_end": a.lease_end,
        }
        for a in opened
    ]


def _command(request: ClaimOf, served: Served, me: Row, id: UUID, now: datetime, terms: Terms) -> Claim:
    return Claim(
        run_id=id,
        claim_id=request.claim_id,
        worker_id=me["id"],
        worker_name=me["name"],
        work_pool_id=served.pool["id"],
        token=secrets.token_urlsafe(24),
        lease_end=now + timedelta(seconds=terms.lease_ttl),
    )


def _turned_away(connection: Connection, served: Served, now: datetime) -> list[UUID]:
    """Due runs of full deployments that cancel new ones: a claim is what tells them so (CONTRACT §2.1 rule 8)."""
    limited = select(deployment.c.id, deployment.c.concurrency_limit, deployment.c.concurrency_options).where(
        deployment.c.concurrency_limit.is_not(None), deployment.c.concurrency_options.is_not(None)
    )
    cancelling = [
        row["id"]
        for row in connection.execute(limited).mappings()
        if (row["concurrency_options"] or {}).get("collision_strategy") == "CANCEL_NEW"
        and row["concurrency_limit"] > 0
        and _used(connection, row["id"]) >= row["concurrency_limit"]
    ]
    if not cancelling:
        return []
    due = (
        select(live_run.c.flow_run_id)
        .where(
            live_run.c.claimable,
            live_run.c.due <= now,
            live_run.c.deployment_id.in_(cancelling),
            live_run.c.work_queue_id.in_([queue["id"] for queue in served.queues if not queue["is_paused"]]),
        )
        .limit(MAX_CANCELLED)
    )
    return [] if served.pool["is_paused"] else list(connection.execute(due).scalars())


def _used(connection: Connection, limit_id: UUID) -> int:
    return len(connection.execute(select(slot.c.flow_run_id).where(slot.c.limit_id == limit_id)).all())


def _known_worker(connection: Connection, pool: Row, worker_id: UUID) -> Row:
    me = one(connection, worker, id=worker_id, work_pool_id=pool["id"])
    if me is None:
        raise NotFound(f"Worker {worker_id} is not registered in work pool '{pool['name']}'. Register it first.")
    return me


def _mark_polled(connection: Connection, queue_ids: Sequence[UUID], now: datetime) -> None:
    """Polled queues are READY unless they are paused (CONTRACT §2.4)."""
    if not queue_ids:
        return
    mine = work_queue.c.id.in_(queue_ids)
    connection.execute(update(work_queue).where(mine).values(last_polled=now))
    unready = or_(work_queue.c.status.is_(None), work_queue.c.status == "NOT_READY")
    connection.execute(update(work_queue).where(mine, unready, ~work_queue.c.is_paused).values(status="READY"))
    served = deployment.c.work_queue_id.in_(queue_ids)
    connection.execute(update(deployment).where(served).values(last_polled=now, status="READY"))


def _waiting(
    connection: Connection,
    pool: str,
    queues: Sequence[str],
    before: datetime,
    after: datetime | None,
    limit: int,
    now: datetime,
) -> tuple[list[UUID], list[UUID]]:
    served = _served(connection, pool, queues)
    return next_runs(connection, _line(served, before, limit, after)), served.stale(now)


def _waiting_of_queue(
    connection: Connection, queue_id: UUID, before: datetime, limit: int, now: datetime
) -> tuple[list[UUID], list[UUID]]:
    queue = one(connection, work_queue, id=queue_id)
    if queue is None:
        raise NotFound(f"Work queue {queue_id} not found.")
    pool = one(connection, work_pool, id=queue["work_pool_id"])
    assert pool is not None
    served = Served(pool, [queue])
    return next_runs(connection, _line(served, before, limit)), served.stale(now)
