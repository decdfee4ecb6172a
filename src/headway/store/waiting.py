"""Which runs a poll or a claim gets: one query and one walk, which `explain` uses too.

The order is queue priority, then due time. A run is passed over, not waited for, when its queue or
deployment is full, so that nothing full ever blocks the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, and_, func, or_, select, true

from headway.store.tables import deployment, live_run, slot, work_pool, work_queue

__all__ = ["Line", "next_runs"]

PAGE = 100


@dataclass(frozen=True, slots=True)
class Line:
    """What is asked for: runs of a pool (all queues, or the named ones), or of some deployments, due by `before`."""

    before: datetime
    limit: int
    pool_id: UUID | None = None
    queue_ids: Sequence[UUID] | None = None
    deployment_ids: Sequence[UUID] | None = None
    after: datetime | None = None


@dataclass(slots=True)
class Room:
    """What is left of each limit while runs are taken one by one; None is unlimited."""

    left: dict[UUID, int | None] = field(default_factory=dict)

    def full(self, ids: Sequence[UUID | None]) -> list[UUID]:
        """The limits among `ids` that have nothing left."""
        return [id for id in ids if id is not None and self.left.get(id, 1) is not None and not self._has(id)]

    def _has(self, id: UUID) -> bool:
        left = self.left.get(id)
        return left is None or left > 0

    def take(self, ids: Sequence[UUID | None]) -> None:
        for id in ids:
            left = None if id is None else self.left.get(id)
            if id is not None and left is not None:
                self.left[id] = left - 1

    def known(self, id: UUID | None, limit: int | None, used: int) -> None:
        if id is not None:
            self.left.setdefault(id, None if limit is None else limit - used)


def next_runs(connection: Connection, line: Line) -> list[UUID]:
    """Ids of the runs to hand out, best first, at most `line.limit`. Nothing is written or locked."""
    room = Room()
    taken: list[UUID] = []
    shut: set[UUID] = set()
    while len(taken) < line.limit:
        page = connection.execute(_page(line, taken, shut)).mappings().all()
        before = (len(taken), len(shut))
        for row in page:
            ids = (row["work_pool_id"], row["work_queue_id"], row["deployment_id"])
            for id, kind in zip(ids, ("pool", "queue", "deployment"), strict=True):
                room.known(id, row[f"{kind}_limit"], row[f"{kind}_used"])
            if full := room.full(ids):
                shut.update(full)
                continue
            room.take(ids)
            taken.append(row["flow_run_id"])
            if len(taken) == line.limit:
                break
        if len(page) < PAGE or before == (len(taken), len(shut)):
            break
    return taken


def _page(line: Line, taken: Sequence[UUID], shut: set[UUID]) -> Any:
    wanted = [live_run.c.claimable, live_run.c.due <= line.before]
    if line.after is not None:
        wanted.append(live_run.c.due >= line.after)
    if line.pool_id is not None:
        wanted.append(live_run.c.work_pool_id == line.pool_id)
    if line.queue_ids is not None:
        wanted.append(live_run.c.work_queue_id.in_(line.queue_ids))
    if line.deployment_ids is not None:
        wanted.append(live_run.c.deployment_id.in_(line.deployment_ids))
    if taken:
        wanted.append(live_run.c.flow_run_id.not_in(taken))
    if shut:
        columns = (live_run.c.work_pool_id, live_run.c.work_queue_id, live_run.c.deployment_id)
        wanted += [or_(column.is_(None), column.not_in(shut)) for column in columns]
    return (
        select(
            live_run.c.flow_run_id,
            live_run.c.work_pool_id,
            live_run.c.work_queue_id,
            live_run.c.deployment_id,
            work_pool.c.concurrency_limit.label("pool_limit"),
            work_queue.c.concurrency_limit.label("queue_limit"),
            deployment.c.concurrency_limit.label("deployment_limit"),
            _used(live_run.c.work_pool_id).label("pool_used"),
            _used(live_run.c.work_queue_id).label("queue_used"),
            _used(live_run.c.deployment_id).label("deployment_used"),
        )
        .outerjoin(work_pool, work_pool.c.id == live_run.c.work_pool_id)
        .outerjoin(work_queue, work_queue.c.id == live_run.c.work_queue_id)
        .outerjoin(deployment, deployment.c.id == live_run.c.deployment_id)
        .where(*wanted, open_for_work(line.pool_id is not None))
        .order_by(work_queue.c.priority, live_run.c.due, live_run.c.flow_run_id)
        .limit(PAGE)
    )


def open_for_work(pooled: bool) -> Any:
    """Nothing paused, nothing already full, nothing that was deleted; a run of a pool needs a queue."""
    shut = (
        (live_run.c.work_pool_id, _shut(work_pool, work_pool.c.is_paused)),
        (live_run.c.work_queue_id, _shut(work_queue, work_queue.c.is_paused)),
        (live_run.c.deployment_id, _shut(deployment, deployment.c.paused)),
    )
    open_ = [or_(column.is_(None), column.not_in(ids)) for column, ids in shut]
    gone = and_(live_run.c.deployment_id.is_not(None), deployment.c.id.is_(None))
    return and_(*open_, ~gone, work_queue.c.id.is_not(None) if pooled else true())


def _shut(table: Table, paused: Any) -> Any:
    """What nothing can be taken from; asked once per statement, not once per waiting run."""
    return select(table.c.id).where(or_(paused, table.c.concurrency_limit <= _used(table.c.id)))


def _used(limit_id: Any) -> Any:
    """Slots taken of a limit."""
    return select(func.count()).select_from(slot).where(slot.c.limit_id == limit_id).scalar_subquery()
