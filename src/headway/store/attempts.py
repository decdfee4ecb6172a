"""Attempts and their leases: renewing, adopting, stopping, and finding what was lost (DESIGN §3).

Whoever knows an attempt's token may renew it: its worker, and once he is silent any other worker of the pool, who
has adopted it by that. The attempts of a silent worker are offered to everybody who asks, for only some can reach
what they run on; the first to renew has it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Connection, select, update

from headway.core.errors import HeadwayError, LeaseLostError, NotFound
from headway.core.rules.commands import Decision, EndAttempt, Ending
from headway.core.rules.facts import Attempt, Caller, Policy, Terms
from headway.core.rules.fencing import check_fence, check_record
from headway.core.states import State
from headway.store.database import Database
from headway.store.facts import state_of
from headway.store.hot import Hot, instant, moment, unjson
from headway.store.protocols import Outcome, Reaped, Renewal, Renewed
from headway.store.records import Row, add, one, rows
from headway.store.tables import attempt, flow_run, flow_run_state, live_run, server_beat, work_pool, worker
from headway.store.transitions import decide_and_apply

__all__ = ["AttemptStore", "fenced_out", "offers", "stop_orders"]

BEAT = "reaper"
MAX_LOST = 500
MAX_OFFERED = 100
EXIT_PATIENCE = 10
"""A process whose run is over anyway gets this many times the grace to end by itself."""
FAREWELL = timedelta(seconds=150)
"""The same after a final state: an engine may deliver its last records for two minutes."""


_ALIVE = attempt.c.ended.is_(None)


class AttemptStore:
    """`store.protocols.Attempts` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def renew(self, renewals: Sequence[Renewal], now: datetime, terms: Terms) -> list[Renewed | HeadwayError]:
        return await self.database.write(_renew, renewals, now, terms)

    async def renew_engines(
        self, engines: Sequence[tuple[UUID, Caller]], now: datetime, grace: float, terms: Terms
    ) -> list[list[UUID] | HeadwayError]:
        return await self.database.write(_renew_engines, engines, now, grace, terms)

    async def fenced_out(self, run_ids: Collection[UUID], caller: Caller) -> dict[UUID, HeadwayError]:
        return await self.database.read(fenced_out, run_ids, caller)

    async def outcome(self, run_id: UUID, number: int) -> Outcome | None:
        return await self.database.read(_outcome, run_id, number)

    async def reap(self, now: datetime, longest_gap: float, terms: Terms) -> Reaped:
        if not await self.database.read(_anything_alive):
            return Reaped()
        return await self.database.write(_reap, now, longest_gap, terms)

    async def late_runs(self, due_before: datetime, limit: int) -> list[tuple[UUID, datetime]]:
        return await self.database.read(_late_runs, due_before, limit)

    async def expired_pauses(self, now: datetime, limit: int) -> list[UUID]:
        return await self.database.read(_in_state, "PAUSED", live_run.c.due, now, limit)

    async def stuck_cancellations(self, since: datetime, limit: int) -> list[tuple[UUID, str | None]]:
        return await self.database.read(_stuck, since, limit)


# --- workers ---


def _renew(connection: Connection, renewals: Sequence[Renewal], now: datetime, terms: Terms) -> list[Any]:
    """Renew what the workers hold; each answer also carries the worker's orders."""
    hot = Hot(connection)
    known = _known_workers(connection, {renewal.worker_id for renewal in renewals})
    ids = sorted({held.flow_run_id for renewal in renewals for held in renewal.held})
    found = hot.rows("attempts_held", ids=hot.codec.ids(ids)) if ids else []
    alive = {(hot.codec.uuid(row[0]), row[1]): row[2:] for row in found}
    silence, at = instant(now - _silence(terms)), instant(now)
    until = instant(now + timedelta(seconds=terms.lease_ttl))
    lost: list[list[Any]] = []
    renewed: dict[tuple[UUID, int], Row] = {}
    for renewal in renewals:
        lost.append([])
        me = known.get((renewal.worker_id, renewal.pool))
        if me is None:
            continue
        own = {"worker_id": hot.codec.id(me["id"]), "worker_name": me["name"], "until": until, "now": at}
        for held in renewal.held:
            key = held.flow_run_id, held.attempt
            token, holder, heard = alive.get(key, (None, None, None))
            if token is None or token != held.token or not (holder == me["name"] or heard < silence):
                lost[-1].append(held)
                continue
            alive[key] = (token, me["name"], at)
            renewed[key] = {"flow_run_id": hot.codec.id(held.flow_run_id), "number": held.attempt, **own}
    hot.write("renew_by_worker", list(renewed.values()))
    return _orders(connection, renewals, known, lost, now, terms)


def _orders(
    connection: Connection,
    renewals: Sequence[Renewal],
    known: Mapping[tuple[UUID, str], Row],
    lost: Sequence[Sequence[Any]],
    now: datetime,
    terms: Terms,
) -> list[Renewed | HeadwayError]:
    """What each renewal is answered, once it is written."""
    stop = stop_orders(connection, [worker_id for worker_id, _ in known], now, renewals[0].grace)
    orphans = {id: offers(connection, id, now, terms) for id in {row["work_pool_id"] for row in known.values()}}
    answers: list[Renewed | HeadwayError] = []
    for renewal, gone in zip(renewals, lost, strict=True):
        me = known.get((renewal.worker_id, renewal.pool))
        if me is None:
            missing = f"Worker {renewal.worker_id} is not registered in work pool '{renewal.pool}'. Register it first."
            answers.append(NotFound(missing))
            continue
        others = [offer for offer in orphans[me["work_pool_id"]] if offer["worker_id"] != me["id"]]
        answers.append(Renewed(lost=gone, stop=stop.get(me["id"], []), adopt=others))
    return answers


def _silence(terms: Terms) -> timedelta:
    """A worker who has missed two renewals is silent: early enough to be adopted from while the lease lives."""
    return timedelta(seconds=terms.lease_ttl / 2)


def _known_workers(connection: Connection, ids: Iterable[UUID]) -> dict[tuple[UUID, str], Row]:
    """By id and the name of their pool."""
    wanted = select(worker, work_pool.c.name.label("pool")).join(work_pool).where(worker.c.id.in_(list(ids)))
    return {(row["id"], row["pool"]): row for row in rows(connection, wanted)}


def stop_orders(
    connection: Connection, workers: Iterable[UUID], now: datetime, grace: float
) -> Mapping[UUID, list[Row]]:
    """Per worker, its attempts whose infrastructure must go."""
    hot = Hot(connection)
    found = hot.rows(
        "stop_orders",
        workers=hot.codec.ids(list(workers)),
        over=instant(now - timedelta(seconds=grace)),
        long_over=instant(now - timedelta(seconds=grace * EXIT_PATIENCE)),
        farewell=instant(now - FAREWELL),
    )
    orders: dict[UUID, list[Row]] = {}
    for owner, run, number, type, name, policy in found:
        if type == "SCHEDULED" and Policy.of(unjson(policy)).in_process:
            continue
        order = {"attempt": number, "grace_seconds": grace, "reason": f"The run is {name}."}
        orders.setdefault(_uuid(hot, owner), []).append({"flow_run_id": _uuid(hot, run), **order})
    return orders


def offers(connection: Connection, pool_id: UUID, now: datetime, terms: Terms) -> list[Row]:
    """Attempts of the pool whose worker has gone silent while they live on. Nothing is written: see the module."""
    hot = Hot(connection)
    silence = now - _silence(terms)
    found = hot.rows("offers", pool=hot.codec.id(pool_id), now=instant(now), silence=instant(silence), size=MAX_OFFERED)
    if not found:
        return []
    reachable = one(connection, server_beat, name=BEAT)
    if reachable is not None and reachable["reachable_since"] > silence:
        return []  # nobody could have been heard for that long
    return [
        {
            "flow_run_id": _uuid(hot, run),
            "attempt": number,
            "token": token,
            "handle": unjson(handle),
            "worker_id": hot.codec.uuid(holder),
            "worker_name": name or "",
            "cancelling": type == "CANCELLING",
        }
        for run, number, token, handle, holder, name, type in found
    ]


def _uuid(hot: Hot, value: Any) -> UUID:
    found = hot.codec.uuid(value)
    assert found is not None
    return found


# --- engines ---


def fenced_out(connection: Connection, run_ids: Collection[UUID], caller: Caller) -> dict[UUID, HeadwayError]:
    """Those of these runs that the caller must not write to, and why; runs that do not exist are not among them."""
    refused: dict[UUID, HeadwayError] = {}
    for run_id, (_, held) in _owners(Hot(connection), run_ids).items():
        try:
            check_record(held, caller)
        except HeadwayError as error:
            refused[run_id] = error
    return refused


def _owners(hot: Hot, run_ids: Collection[UUID]) -> dict[UUID, tuple[UUID, Attempt | None]]:
    """Per run, the run that owns it (itself, or its root) and the newest attempt of that."""
    found: dict[UUID, tuple[UUID, Attempt | None]] = {}
    for row in hot.rows("owners", ids=hot.codec.ids(list(run_ids))):
        run, owner = _uuid(hot, row[0]), _uuid(hot, row[1])
        found[run] = owner, None if row[2] is None else _attempt(hot, owner, *row[2:])
    return found


def _attempt(hot: Hot, owner: UUID, number: int, token: str, nonce: str | None, holder: Any, *more: Any) -> Attempt:
    opened, lease_end, ended = (moment(time) for time in more[:3])
    assert opened is not None
    assert lease_end is not None
    return Attempt(
        owner,
        number,
        token,
        opened,
        lease_end,
        nonce=nonce,
        worker_id=hot.codec.uuid(holder),
        ended=ended,
        outcome={"event": more[3]},
    )


def _renew_engines(
    connection: Connection, engines: Sequence[tuple[UUID, Caller]], now: datetime, grace: float, terms: Terms
) -> list[Any]:
    """Per engine the runs that it is to end, or why it must stop."""
    hot = Hot(connection)
    owners = _owners(hot, {run for run, _ in engines})
    answers: list[Any] = []
    renewed: dict[UUID, int] = {}
    for run_id, caller in engines:
        try:
            owner, held = _owned(owners, run_id, caller)
        except HeadwayError as error:
            answers.append(error)
        else:
            renewed[owner] = held.number
            answers.append(owner)
    until = instant(now + timedelta(seconds=terms.lease_ttl))
    values = [
        {"flow_run_id": hot.codec.id(run), "number": number, "until": until, "now": instant(now)}
        for run, number in sorted(renewed.items())
    ]
    hot.write("renew_by_engine", values)
    ending = _to_end(hot, renewed, now - timedelta(seconds=grace))
    return [one if isinstance(one, HeadwayError) else ending.get(one, []) for one in answers]


def _owned(owners: Mapping[UUID, tuple[UUID, Attempt | None]], run_id: UUID, caller: Caller) -> tuple[UUID, Attempt]:
    if run_id not in owners:
        raise NotFound(f"There is no flow run {run_id}.")
    owner, held = owners[run_id]
    check_fence(held, caller)
    if held is None or not held.alive:
        raise LeaseLostError(f"Flow run {run_id} has no attempt to renew.")
    return owner, held


def _to_end(hot: Hot, owners: Collection[UUID], over: datetime) -> dict[UUID, list[UUID]]:
    """What engines must stop: cancelled runs of their own, and roots that others ended and that they outstay."""
    found: dict[UUID, list[UUID]] = {}
    if owners:
        for owner, run in hot.rows("engine_orders", ids=hot.codec.ids(owners), over=instant(over)):
            found.setdefault(_uuid(hot, owner), []).append(_uuid(hot, run))
    return found


def _outcome(connection: Connection, run_id: UUID, number: int) -> Outcome | None:
    row = one(connection, attempt, flow_run_id=run_id, number=number)
    if row is None or row["outcome"] is None:
        return None
    state_id = row["outcome"].get("state_id")
    state: State | None = None
    if state_id is not None:
        found = one(connection, flow_run_state, id=UUID(state_id))
        state = None if found is None else state_of(found)
    return Outcome(state, bool(row["outcome"].get("retry_scheduled")))


# --- loops ---


def _anything_alive(connection: Connection) -> bool:
    """With no live attempt a pass would only say that it was here, which costs a commit and keeps nobody's lease."""
    return bool(rows(connection, select(attempt.c.number).where(_ALIVE).limit(1)))


def _reap(connection: Connection, now: datetime, longest_gap: float, terms: Terms) -> Reaped:
    """End the attempts whose leases ran out; after a gap in which nobody could renew, all get a fresh one."""
    beat = rows(connection, select(server_beat).where(server_beat.c.name == BEAT).with_for_update())
    fresh = now + timedelta(seconds=terms.lease_ttl)
    mine = update(server_beat).where(server_beat.c.name == BEAT)
    if not beat:
        add(connection, server_beat, {"name": BEAT, "beat": now, "reachable_since": now})
    elif now - beat[0]["beat"] <= timedelta(seconds=longest_gap):
        if now > beat[0]["beat"]:
            connection.execute(mine.values(beat=now))
        decisions = _end_lost(connection, now, terms)
        return Reaped(decisions, _silent(connection, now, terms))
    else:
        connection.execute(mine.values(beat=now, reachable_since=now))
    connection.execute(update(attempt).where(_ALIVE, attempt.c.lease_end < fresh).values(lease_end=fresh))
    return Reaped()


def _end_lost(connection: Connection, now: datetime, terms: Terms) -> list[Decision]:
    expired = select(attempt.c.flow_run_id, attempt.c.number).where(_ALIVE, attempt.c.lease_end < now).limit(MAX_LOST)
    commands = [EndAttempt(row[0], row[1], Ending.LOST) for row in connection.execute(expired)]
    if not commands:
        return []
    outcomes = decide_and_apply(connection, commands, now, terms)
    ended = [outcome for outcome in outcomes if isinstance(outcome, Decision)]
    _send_home(connection, {one.attempt.worker_id for one in ended if one.attempt is not None})
    return ended


def _send_home(connection: Connection, worker_ids: Collection[UUID | None]) -> None:
    """Workers who let an attempt be lost are silent, until the next thing they say: what waits is not for them."""
    silent = [id for id in worker_ids if id is not None]
    if silent:
        connection.execute(update(worker).where(worker.c.id.in_(silent)).values(status="OFFLINE"))


def _silent(connection: Connection, now: datetime, terms: Terms) -> list[UUID]:
    """The pools in which attempts could be adopted."""
    orphaned = select(attempt.c.work_pool_id).distinct()
    where = (_ALIVE, attempt.c.handle.is_not(None), attempt.c.worker_renewed < now - _silence(terms))
    return list(connection.execute(orphaned.where(*where)).scalars())


def _late_runs(connection: Connection, due_before: datetime, limit: int) -> list[tuple[UUID, datetime]]:
    overdue = (
        select(live_run.c.flow_run_id, live_run.c.due)
        .where(
            live_run.c.state_type == "SCHEDULED",
            live_run.c.due < due_before,
            live_run.c.state_name == "Scheduled",
            live_run.c.claimable,
        )
        .order_by(live_run.c.due)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in connection.execute(overdue)]


def _stuck(connection: Connection, since: datetime, limit: int) -> list[tuple[UUID, str | None]]:
    waiting = (
        select(live_run.c.flow_run_id, flow_run.c.infrastructure_pid)
        .join(flow_run, flow_run.c.id == live_run.c.flow_run_id)
        .where(live_run.c.state_type == "CANCELLING", live_run.c.state_since < since)
    )
    found = connection.execute(waiting.order_by(live_run.c.state_since).limit(limit))
    return [(row[0], row[1]) for row in found]


def _in_state(connection: Connection, type: str, column: Column[datetime], before: datetime, limit: int) -> list[UUID]:
    waiting = select(live_run.c.flow_run_id).where(live_run.c.state_type == type, column < before)
    return [row[0] for row in connection.execute(waiting.order_by(column).limit(limit))]
