"""Claims: workers take runs, many workers in one transaction (DESIGN §3).

    served ──► walk what waits ──► decide and write ──► with what surrounds each run
                                                        and the orders that each worker has

Requests are served in the order in which they came; what one takes the next does not see.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, case, func, or_, select, update

from headway.core.errors import HeadwayError, NotFound
from headway.core.nearest import suggestion
from headway.core.rules.commands import Claim, Decision
from headway.core.rules.facts import Terms
from headway.core.states import OCCUPYING
from headway.store.attempts import offers, stop_orders
from headway.store.database import Database
from headway.store.hot import Hot, instant, moment, unjson
from headway.store.locks import lock_claims, lock_limits
from headway.store.protocols import Claimed, ClaimOf
from headway.store.records import Row, one, rows
from headway.store.run_pages import runs_by_id
from headway.store.tables import deployment, flow, live_run, slot, work_pool, work_queue
from headway.store.transitions import decide_and_apply
from headway.store.waiting import Line, Walk, next_due, next_runs
from headway.store.work_queues import find_pool

__all__ = ["ClaimStore"]

POLLED_AFTER = timedelta(seconds=15)
"""A queue's `last_polled` is written at most this often, so that an empty poll costs no commit."""

_PLACE = ("is_paused", "concurrency_limit")
MAX_CANCELLED = 50
MAX_RUNS = 300
"""Runs handed out in one transaction; who gets none for that looks again at once."""

MAX_ROUNDS = 3
"""So often is looked again for runs in place of those that somebody else holds or took meanwhile, ten times as many
each time."""

LOOK_AGAIN = timedelta(milliseconds=50)
"""After this a claim looks again that saw nothing but runs that somebody else holds."""


class ClaimStore:
    """`store.protocols.Claims` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def claim(self, requests: Sequence[ClaimOf], now: datetime, terms: Terms) -> list[Claimed | HeadwayError]:
        return await self.database.write(_claim, requests, now, terms)

    async def polled(self, queue_ids: Sequence[UUID], now: datetime) -> None:
        await self.database.write(_mark_polled, queue_ids, now)

    async def backlog(self, pool: str, queues: Sequence[str], now: datetime) -> Row:
        return await self.database.read(_backlog, pool, queues, now)

    async def waiting(
        self, pool: str, queues: Sequence[str], before: datetime, after: datetime | None, limit: int, now: datetime
    ) -> list[UUID]:
        found, stale = await self.database.read(_waiting, pool, queues, before, after, limit, now)
        if stale:
            await self.polled(stale, now)
        return found

    async def waiting_of_queue(self, queue_id: UUID, before: datetime, limit: int, now: datetime) -> list[UUID]:
        found, stale = await self.database.read(_waiting_of_queue, queue_id, before, limit, now)
        if stale:
            await self.polled(stale, now)
        return found


@dataclass(frozen=True, slots=True)
class Served:
    """A pool, and those of its queues that a request names."""

    pool: Row
    queues: Sequence[Row]

    @property
    def queue_ids(self) -> tuple[UUID, ...]:
        return tuple(queue["id"] for queue in self.queues)

    def stale(self, now: datetime) -> list[UUID]:
        """The queues whose `last_polled` is worth writing."""
        return [q["id"] for q in self.queues if q["last_polled"] is None or now - q["last_polled"] > POLLED_AFTER]


def _named(pool: Row, queues: Sequence[Row], names: Sequence[str]) -> Served:
    if not names:
        return Served(pool, queues)
    known = {queue["name"]: queue for queue in queues}
    for name in names:
        if name not in known:
            raise NotFound(
                f"Work queue '{name}' not found in work pool '{pool['name']}'.{suggestion(name, list(known))}"
            )
    return Served(pool, [known[name] for name in names])


def _served(connection: Connection, pool_name: str, names: Sequence[str]) -> Served:
    return _named(*_place(connection, Hot(connection), pool_name), names)


def _place(connection: Connection, hot: Hot, pool_name: str) -> tuple[Row, list[Row]]:
    """A pool and its queues, what polls and claims need of them."""
    found = hot.rows("claim_place", name=pool_name)
    if not found:
        find_pool(connection, pool_name)  # says what is wrong with the name
        raise NotFound(f"Work pool '{pool_name}' has no work queue.")
    uuid = hot.codec.uuid
    pool = {"id": uuid(found[0][0]), "name": pool_name, **dict(zip(_PLACE, found[0][1:3], strict=True))}
    return pool, [
        {"id": uuid(row[3]), "name": row[4], **dict(zip(_PLACE, row[5:7], strict=True)), "last_polled": moment(row[7])}
        for row in found
    ]


# --- claims ---


def _claim(
    connection: Connection, requests: Sequence[ClaimOf], now: datetime, terms: Terms
) -> list[Claimed | HeadwayError]:
    answers: dict[UUID, Claimed | HeadwayError] = {}
    for name in dict.fromkeys(request.pool for request in requests):
        mine = [request for request in requests if request.pool == name]
        try:
            desk = _Desk(connection, name, now, terms)
        except HeadwayError as error:
            answers.update({request.claim_id: error for request in mine})
        else:
            answers.update(desk.serve(mine))
    return [answers[request.claim_id] for request in requests]


@dataclass(slots=True)
class _Customer:
    """One request at the desk, and what it gets."""

    request: ClaimOf
    me: Row
    served: Served
    attempts: list[Row] = field(default_factory=list)


class _Desk:
    """The claims of one pool in one transaction."""

    def __init__(self, connection: Connection, pool_name: str, now: datetime, terms: Terms) -> None:
        self._connection = connection
        self._now = now
        self._terms = terms
        self._more = False
        self._held = False
        self._hot = Hot(connection)
        self._pool, self._queues = _place(connection, self._hot, pool_name)

    def _id(self, value: Any) -> UUID:
        found = self._hot.codec.uuid(value)
        assert found is not None
        return found

    def serve(self, requests: Sequence[ClaimOf]) -> dict[UUID, Claimed | HeadwayError]:
        answers: dict[UUID, Claimed | HeadwayError] = {}
        known = self._workers(requests)
        customers = []
        for request in requests:
            try:
                if request.worker_id not in known:
                    raise _unknown_worker(self._pool, request.worker_id)
                if not request.fresh and known[request.worker_id]["status"] == "OFFLINE":
                    answers[request.claim_id] = Claimed(self._pool["id"], dismissed=True)
                    continue
                served = _named(self._pool, self._queues, request.queues)
                customers.append(_Customer(request, known[request.worker_id], served))
            except HeadwayError as error:
                answers[request.claim_id] = error
        self._hand_out(self._new(customers))
        around = self._around(customers)
        due: dict[tuple[UUID, ...], datetime | None] = {}
        stop = stop_orders(self._connection, [c.me["id"] for c in customers], self._now, requests[0].grace)
        orphans = offers(self._connection, self._pool["id"], self._now, self._terms)
        for customer in customers:
            me, queues = customer.me["id"], customer.served.queue_ids
            if not customer.attempts and queues not in due:
                next_one = next_due(self._connection, queues, self._now)
                soon = self._now + LOOK_AGAIN
                due[queues] = min(next_one or soon, soon) if self._held else next_one
            answers[customer.request.claim_id] = Claimed(
                pool_id=self._pool["id"],
                attempts=[{**row, **around[row["flow_run_id"]]} for row in customer.attempts if around],
                stop=stop.get(me, []),
                adopt=[offer for offer in orphans if offer["worker_id"] != me],
                stale=customer.served.stale(self._now),
                next_due=due.get(queues),
                more=self._more,
            )
        return answers

    def _workers(self, requests: Sequence[ClaimOf]) -> dict[UUID, Row]:
        ids, pool = self._hot.codec.ids({request.worker_id for request in requests}), self._pool["id"]
        found = self._hot.rows("claim_workers", ids=ids, pool=self._hot.codec.id(pool))
        return {self._id(id): {"id": self._id(id), "name": name, "status": status} for id, name, status in found}

    def _new(self, customers: Sequence[_Customer]) -> list[_Customer]:
        """Those who have not had their runs yet; the others get the same again."""
        by_id = {customer.request.claim_id: customer for customer in customers}
        seen = set()
        for claim, run, number, token, ended in self._hot.rows("claims_known", ids=self._hot.codec.ids(list(by_id))):
            seen.add(self._id(claim))
            if ended is None:
                row = {"flow_run_id": self._id(run), "number": number, "token": token}
                by_id[self._id(claim)].attempts.append(row)
        return [c for c in customers if c.request.limit > 0 and c.request.claim_id not in seen]

    def _hand_out(self, customers: Sequence[_Customer]) -> None:
        if not customers or self._pool["is_paused"]:
            return
        served = {queue["id"]: queue for customer in customers for queue in customer.served.queues}
        lock_limits(self._connection, _limited([self._pool]), _limited(served.values()))
        self._turn_away(customers[0], [id for id, queue in served.items() if not queue["is_paused"]])
        walk = Walk(self._connection, self._now)
        for round_ in range(MAX_ROUNDS):
            hungry = [c for c in customers if len(c.attempts) < c.request.limit]
            chosen, short = self._choose(walk, hungry, 10**round_)
            self._held = self._held or short
            if self._take(chosen) == len(chosen) and not short:
                return

    def _choose(
        self, walk: Walk, customers: Sequence[_Customer], reach: int
    ) -> tuple[list[tuple[_Customer, UUID]], bool]:
        """Who gets which run, of `reach` for each that is wanted, and whether anybody goes short because of runs that
        somebody else holds. One walk for all who are served by the same queues."""
        chosen: list[tuple[_Customer, UUID]] = []
        short = False
        for queues in dict.fromkeys(customer.served.queue_ids for customer in customers):
            same = [customer for customer in customers if customer.served.queue_ids == queues]
            wants = [customer for customer in same for _ in range(customer.request.limit - len(customer.attempts))]
            room = MAX_RUNS - len(chosen)
            self._more = self._more or len(wants) > room
            seen = walk.of_queues(queues, min(len(wants) * reach, room))
            free = lock_claims(self._connection, seen)
            short = short or len(free) < min(len(wants), len(seen))
            chosen += zip(wants, free, strict=False)
        return chosen, short

    def _take(self, chosen: Sequence[tuple[_Customer, UUID]]) -> int:
        """Decide and write; how many were taken. A run that was taken meanwhile is nobody's here."""
        if not chosen:
            return 0
        commands = [self._command(customer, run) for customer, run in chosen]
        outcomes = decide_and_apply(self._connection, commands, self._now, self._terms)
        taken = 0
        for (customer, _), outcome in zip(chosen, outcomes, strict=True):
            if isinstance(outcome, Decision) and outcome.written and outcome.attempt and outcome.attempt.alive:
                opened = outcome.attempt
                row = {"flow_run_id": opened.run_id, "number": opened.number, "token": opened.token}
                customer.attempts.append(row)
                taken += 1
        return taken

    def _command(self, customer: _Customer, run: UUID) -> Claim:
        return Claim(
            run_id=run,
            claim_id=customer.request.claim_id,
            worker_id=customer.me["id"],
            worker_name=customer.me["name"],
            work_pool_id=self._pool["id"],
            token=secrets.token_urlsafe(24),
            lease_end=self._now + timedelta(seconds=self._terms.lease_ttl),
        )

    def _turn_away(self, customer: _Customer, queue_ids: Sequence[UUID]) -> None:
        """A claim is what tells due runs of a full deployment that it cancels new ones (CONTRACT §2.1 rule 8)."""
        found = self._hot.rows(
            "turned_away",
            pool=self._hot.codec.id(self._pool["id"]),
            queues=self._hot.codec.ids(queue_ids),
            now=instant(self._now),
            size=MAX_CANCELLED,
        )
        runs = [self._id(row[0]) for row in found]
        if runs:
            self._take([(customer, run) for run in lock_claims(self._connection, runs)])

    def _around(self, customers: Sequence[_Customer]) -> dict[UUID, Row]:
        """Per run: itself as raw row, `job_variables`, and the rows `flow`, `deployment`, `work_pool`, `work_queue`."""
        ids = [row["flow_run_id"] for customer in customers for row in customer.attempts]
        if not ids:
            return {}
        uuid = self._hot.codec.uuid
        raw = runs_by_id(self._connection, ids)
        flows = self._rows(flow, {uuid(run[4]) for run in raw})
        deployments = self._rows(deployment, {uuid(run[6]) for run in raw})
        for row in deployments.values():
            row["work_pool_name"] = self._pool["name"] if row["work_pool_id"] == self._pool["id"] else None
        pool = self._rows(work_pool, {self._pool["id"]})[self._pool["id"]]
        queues = {queue["id"]: queue for queue in self._queues}
        return {
            self._id(run[0]): {
                "run": run,
                "job_variables": unjson(run[33]) or {},
                "flow": flows[uuid(run[4])],
                "deployment": deployments.get(uuid(run[6])),
                "work_pool": pool,
                "work_queue": queues[self._id(run[8])],
            }
            for run in raw
        }

    def _rows(self, table: Table, ids: set[UUID | None]) -> dict[UUID | None, Row]:
        wanted = [id for id in ids if id is not None]
        if not wanted:
            return {}
        return {row["id"]: row for row in rows(self._connection, select(table).where(table.c.id.in_(wanted)))}


def _limited(places: Iterable[Row]) -> list[UUID]:
    return [place["id"] for place in places if place["concurrency_limit"] is not None]


def _unknown_worker(pool: Row, worker_id: UUID) -> NotFound:
    return NotFound(f"Worker {worker_id} is not registered in work pool '{pool['name']}'. Register it first.")


# --- polls ---


def _mark_polled(connection: Connection, queue_ids: Sequence[UUID], now: datetime) -> None:
    """Polled queues are READY unless they are paused (CONTRACT §2.4), and so is what is deployed to them."""
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
    return next_runs(connection, Line(before, limit, served.queue_ids, after=after)), served.stale(now)


def _waiting_of_queue(
    connection: Connection, queue_id: UUID, before: datetime, limit: int, now: datetime
) -> tuple[list[UUID], list[UUID]]:
    queue = one(connection, work_queue, id=queue_id)
    if queue is None:
        raise NotFound(f"Work queue {queue_id} not found.")
    pool = one(connection, work_pool, id=queue["work_pool_id"])
    assert pool is not None
    served = Served(pool, [queue])
    return next_runs(connection, Line(before, limit, served.queue_ids)), served.stale(now)


def _backlog(connection: Connection, pool: str, queues: Sequence[str], now: datetime) -> Row:
    served = _served(connection, pool, queues)
    here = live_run.c.work_queue_id.in_(served.queue_ids)
    late = func.coalesce(func.sum(case((live_run.c.state_name == "Late", 1), else_=0)), 0)
    waiting = select(func.count().label("waiting"), late.label("late"), func.min(live_run.c.due).label("oldest")).where(
        here, live_run.c.claimable, live_run.c.due <= now
    )
    running = select(func.count()).select_from(live_run).where(here, live_run.c.state_type.in_(sorted(OCCUPYING)))
    places = [served.pool["id"], *served.queue_ids]
    taken = select(slot.c.limit_id, func.count()).where(slot.c.limit_id.in_(places)).group_by(slot.c.limit_id)
    used = {row[0]: row[1] for row in connection.execute(taken)}
    return {
        **rows(connection, waiting)[0],
        "running": int(connection.execute(running).scalar_one()),
        "slots_free": _slots_free(served, used),
    }


def _slots_free(served: Served, used: Mapping[UUID, int]) -> int | None:
    """How many runs more the limits admit; None is without end."""

    def left(place: Row) -> int | None:
        if place["is_paused"]:
            return 0
        limit: int | None = place["concurrency_limit"]
        return None if limit is None else max(limit - used.get(place["id"], 0), 0)

    of_queues = [left(queue) for queue in served.queues]
    in_all = None if None in of_queues else sum(free for free in of_queues if free is not None)
    return min((free for free in (left(served.pool), in_all) if free is not None), default=None)
