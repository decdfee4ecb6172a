"""Attempts and their leases: renewing, adopting, stopping, and finding what was lost (DESIGN §3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Column, Connection, and_, bindparam, func, or_, select, union_all, update

from headway.core.errors import LeaseLostError, NotFound
from headway.core.rules.commands import EndAttempt, Ending
from headway.core.rules.facts import Caller, Policy, Terms
from headway.core.rules.fencing import check_fence
from headway.core.states import State
from headway.store.database import Database
from headway.store.facts import load_runs, state_of
from headway.store.protocols import Held, Outcome, Renewed
from headway.store.records import Row, add, one, rows
from headway.store.tables import attempt, flow_run, flow_run_state, live_run, server_beat, work_pool, worker
from headway.store.transitions import decide_and_apply

__all__ = ["AttemptStore", "adopt", "stop_orders"]

BEAT = "reaper"
MAX_LOST = 500
MAX_ADOPTED = 20
EXIT_PATIENCE = 10
"""A process whose run is over anyway gets this many times the grace to end by itself."""
FAREWELL = timedelta(seconds=150)
"""The same after a final state: an engine may deliver its last records for two minutes."""


class AttemptStore:
    """`store.protocols.Attempts` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def renew(
        self, pool: str, worker_id: UUID, held: Sequence[Held], now: datetime, grace: float, terms: Terms
    ) -> Renewed:
        return await self.database.write(_renew, pool, worker_id, held, now, grace, terms)

    async def renew_engine(self, run_id: UUID, caller: Caller, now: datetime, grace: float, terms: Terms) -> list[UUID]:
        return await self.database.write(_renew_engine, run_id, caller, now, grace, terms)

    async def outcome(self, run_id: UUID, number: int) -> Outcome | None:
        return await self.database.read(_outcome, run_id, number)

    async def reap(self, now: datetime, longest_gap: float, terms: Terms) -> int:
        return await self.database.write(_reap, now, longest_gap, terms)

    async def late_runs(self, due_before: datetime, limit: int) -> list[tuple[UUID, datetime]]:
        return await self.database.read(_late_runs, due_before, limit)

    async def expired_pauses(self, now: datetime, limit: int) -> list[UUID]:
        return await self.database.read(_in_state, "PAUSED", live_run.c.due, now, limit)

    async def stuck_cancellations(self, since: datetime, limit: int) -> list[UUID]:
        return await self.database.read(_in_state, "CANCELLING", live_run.c.state_since, since, limit)


_ALIVE = attempt.c.ended.is_(None)
_RENEW = (
    update(attempt)
    .where(attempt.c.flow_run_id == bindparam("run"), attempt.c.number == bindparam("n"), _ALIVE)
    .values(
        lease_end=bindparam("until"),
        worker_renewed=bindparam("at"),
        worker_id=bindparam("me"),
        worker_name=bindparam("as"),
    )
)


# --- workers ---


def _renew(
    connection: Connection,
    pool: str,
    worker_id: UUID,
    held: Sequence[Held],
    now: datetime,
    grace: float,
    terms: Terms,
) -> Renewed:
    """The token is the right to renew, until another worker has adopted the attempt."""
    me = _worker(connection, pool, worker_id)
    ids = {one.flow_run_id for one in held}
    known = {
        (row["flow_run_id"], row["number"]): row
        for row in rows(connection, select(attempt).where(attempt.c.flow_run_id.in_(ids), _ALIVE))
    }
    kept: list[Held] = []
    lost: list[Held] = []
    for ref in held:
        row = known.get((ref.flow_run_id, ref.attempt))
        mine = row is not None and row["token"] == ref.token and me["name"] == row["worker_name"]
        (kept if mine else lost).append(ref)
    if kept:
        until = now + timedelta(seconds=terms.lease_ttl)
        common = {"until": until, "at": now, "me": me["id"], "as": me["name"]}
        connection.execute(_RENEW, [{"run": ref.flow_run_id, "n": ref.attempt, **common} for ref in kept])
    return Renewed(
        lost=lost,
        stop=stop_orders(connection, worker_id, now, grace),
        adopt=adopt(connection, me["work_pool_id"], me["id"], me["name"], now, terms),
    )


def _worker(connection: Connection, pool: str, worker_id: UUID) -> Row:
    found = rows(
        connection,
        select(worker).join(work_pool).where(worker.c.id == worker_id, work_pool.c.name == pool),
    )
    if not found:
        raise NotFound(f"Worker {worker_id} is not registered in work pool '{pool}'. Register it first.")
    return found[0]


def stop_orders(connection: Connection, worker_id: UUID, now: datetime, grace: float) -> list[Row]:
    """The worker's attempts whose infrastructure must go: cancelled runs, and processes that outstay their run."""
    over = now - timedelta(seconds=grace)
    long_over = now - timedelta(seconds=grace * EXIT_PATIENCE)
    state, since = flow_run.c.state_type, flow_run.c.state_timestamp
    reasons = or_(
        state == "CANCELLING",
        and_(state.in_(("CANCELLED", "CRASHED")), since <= over),
        and_(state.in_(("COMPLETED", "FAILED")), since <= now - FAREWELL),
        and_(or_(state == "SCHEDULED", flow_run.c.state_name == "Suspended"), since <= long_over),
    )
    mine = (
        select(attempt.c.flow_run_id, attempt.c.number, state, flow_run.c.state_name, flow_run.c.empirical_policy)
        .join(flow_run, flow_run.c.id == attempt.c.flow_run_id)
        .where(attempt.c.worker_id == worker_id, _ALIVE, reasons)
    )
    return [
        {
            "flow_run_id": row["flow_run_id"],
            "attempt": row["number"],
            "grace_seconds": grace,
            "reason": f"The run is {row['state_name']}.",
        }
        for row in rows(connection, mine)
        if row["state_type"] != "SCHEDULED" or not Policy.of(row["empirical_policy"]).in_process
    ]


def adopt(
    connection: Connection,
    pool_id: UUID,
    worker_id: UUID,
    worker_name: str,
    now: datetime,
    terms: Terms,
    *,
    look_only: bool = False,
) -> list[Row]:
    """Attempts of the pool whose worker has gone silent while their engine lives: they are this worker's now."""
    silence = now - timedelta(seconds=terms.lease_ttl)
    reachable = one(connection, server_beat, name=BEAT)
    if reachable is not None and reachable["reachable_since"] > silence:
        return []  # nobody could have been heard for that long
    heard = func.coalesce(attempt.c.worker_renewed, attempt.c.opened)
    orphans = rows(
        connection,
        select(attempt, flow_run.c.state_type)
        .join(flow_run, flow_run.c.id == attempt.c.flow_run_id)
        .where(
            attempt.c.work_pool_id == pool_id,
            _ALIVE,
            attempt.c.worker_id != worker_id,
            attempt.c.handle.is_not(None),
            attempt.c.lease_end >= now,
            heard < silence,
        )
        .limit(MAX_ADOPTED),
    )
    if orphans and not look_only:
        until = now + timedelta(seconds=terms.lease_ttl)
        common = {"until": until, "at": now, "me": worker_id, "as": worker_name}
        connection.execute(_RENEW, [{"run": row["flow_run_id"], "n": row["number"], **common} for row in orphans])
    return [
        {
            "flow_run_id": row["flow_run_id"],
            "attempt": row["number"],
            "token": row["token"],
            "handle": row["handle"],
            "worker_name": row["worker_name"] or "",
            "cancelling": row["state_type"] == "CANCELLING",
        }
        for row in orphans
    ]


# --- engines ---


def _renew_engine(
    connection: Connection, run_id: UUID, caller: Caller, now: datetime, grace: float, terms: Terms
) -> list[UUID]:
    world = load_runs(connection, [run_id])
    if run_id not in world.runs:
        raise NotFound(f"There is no flow run {run_id}.")
    owner = world.runs[run_id].owner_id
    held = world.attempts.get(owner)
    check_fence(held, caller)
    if held is None or not held.alive:
        raise LeaseLostError(f"Flow run {run_id} has no attempt to renew.")
    mine = and_(attempt.c.flow_run_id == owner, attempt.c.number == held.number)
    until = now + timedelta(seconds=terms.lease_ttl)
    connection.execute(update(attempt).where(mine).values(lease_end=until, started=held.started or now))
    return _to_end(connection, owner, now - timedelta(seconds=grace))


def _to_end(connection: Connection, owner: UUID, over: datetime) -> list[UUID]:
    """What an engine must stop: cancelled runs of its own, and a root that others ended and that it outstays."""
    ended = select(flow_run.c.id).where(
        flow_run.c.id == owner,
        flow_run.c.state_type.in_(("CANCELLED", "CRASHED")),
        flow_run.c.state_timestamp <= over,
    )
    cancelling = (
        select(flow_run.c.id)
        .join(live_run, live_run.c.flow_run_id == flow_run.c.id)
        .where(
            live_run.c.state_type == "CANCELLING",
            or_(flow_run.c.id == owner, flow_run.c.root_flow_run_id == owner),
        )
    )
    return list(connection.execute(union_all(ended, cancelling)).scalars())


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


def _reap(connection: Connection, now: datetime, longest_gap: float, terms: Terms) -> int:
    """End the attempts whose leases ran out; after a gap in which nobody could renew, all get a fresh one."""
    beat = one(connection, server_beat, name=BEAT)
    fresh = now + timedelta(seconds=terms.lease_ttl)
    if beat is None:
        add(connection, server_beat, {"name": BEAT, "beat": now, "reachable_since": now})
    elif now - beat["beat"] <= timedelta(seconds=longest_gap):
        connection.execute(update(server_beat).where(server_beat.c.name == BEAT).values(beat=now))
        return _end_lost(connection, now, terms)
    else:
        connection.execute(update(server_beat).where(server_beat.c.name == BEAT).values(beat=now, reachable_since=now))
    connection.execute(update(attempt).where(_ALIVE, attempt.c.lease_end < fresh).values(lease_end=fresh))
    return 0


def _end_lost(connection: Connection, now: datetime, terms: Terms) -> int:
    expired = select(attempt.c.flow_run_id, attempt.c.number).where(_ALIVE, attempt.c.lease_end < now).limit(MAX_LOST)
    commands = [EndAttempt(row[0], row[1], Ending.LOST) for row in connection.execute(expired)]
    if commands:
        decide_and_apply(connection, commands, now, terms)
    return len(commands)


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


def _in_state(connection: Connection, type: str, column: Column[datetime], before: datetime, limit: int) -> list[UUID]:
    waiting = select(live_run.c.flow_run_id).where(live_run.c.state_type == type, column < before)
    return [row[0] for row in connection.execute(waiting.order_by(column).limit(limit))]
