"""What `explain` looks at: the facts that polling and claiming use, about one run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, func, select

from headway.core.errors import NotFound
from headway.store.database import Database
from headway.store.facts import load_runs
from headway.store.protocols import Situation
from headway.store.records import Row, one, rows
from headway.store.tables import attempt, deployment, live_run, work_pool, work_queue, worker
from headway.store.waiting import Line, next_runs
from headway.store.work_queues import queues_of
from headway.store.workers import is_live

__all__ = ["ExplainStore"]


class ExplainStore:
    """`store.protocols.Situations` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def situation(self, run_id: UUID, now: datetime, limit: int) -> Situation:
        return await self.database.read(_situation, run_id, now, limit)


def _situation(connection: Connection, run_id: UUID, now: datetime, limit: int) -> Situation:
    world = load_runs(connection, [run_id])
    if run_id not in world.runs:
        raise NotFound(f"Flow run {run_id} not found.")
    facts = world.facts(run_id)
    run = facts.run
    queues = [] if run.work_pool_id is None else queues_of(connection, run.work_pool_id)
    line = _line(run.work_pool_id, run.deployment_id, [queue["id"] for queue in queues], now, limit)
    handed_out = [] if line is None else next_runs(connection, line)
    return Situation(
        facts=facts,
        due=(one(connection, live_run, flow_run_id=run_id) or {}).get("due"),
        pool=_row(connection, work_pool, run.work_pool_id),
        queue=_row(connection, work_queue, run.work_queue_id),
        deployment=_row(connection, deployment, run.deployment_id),
        workers=_workers(connection, run.work_pool_id, now),
        claimable=run_id in handed_out,
        ahead=len(handed_out),
    )


def _line(
    pool_id: UUID | None, deployment_id: UUID | None, queue_ids: list[UUID], now: datetime, limit: int
) -> Line | None:
    """The poll that would return the run: of its pool, or of its deployment where there is no pool."""
    if pool_id is not None:
        return Line(now, limit, queue_ids=queue_ids)
    return None if deployment_id is None else Line(now, limit, deployment_ids=[deployment_id])


def _row(connection: Connection, table: Table, id: UUID | None) -> Row | None:
    return None if id is None else one(connection, table, id=id)


def _workers(connection: Connection, pool_id: UUID | None, now: datetime) -> list[Mapping[str, Any]]:
    """The pool's live workers, each with `busy`: how many runs it holds."""
    if pool_id is None:
        return []
    found = rows(connection, select(worker).where(worker.c.work_pool_id == pool_id).order_by(worker.c.name))
    held = (
        select(attempt.c.worker_id, func.count())
        .where(attempt.c.work_pool_id == pool_id, attempt.c.ended.is_(None), attempt.c.worker_id.is_not(None))
        .group_by(attempt.c.worker_id)
    )
    counts = {row[0]: row[1] for row in connection.execute(held)}
    return [
        {**row, "busy": max(counts.get(row["id"], 0), len(row["flow_run_ids"]))} for row in found if is_live(row, now)
    ]
