"""The status of workers, pools, queues and deployments, set from what was last heard of each."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, Table, exists, or_, select, update

from headway.store.database import Database
from headway.store.protocols import StatusChanges
from headway.store.records import rows
from headway.store.tables import deployment, work_pool, work_queue, worker

AGENT_TYPE = "prefect-agent"
"""Pools of this type have no status (CONTRACT §2.4)."""


class PoolStatusStore:
    """`store.protocols.PoolStatus` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def refresh(self, now: datetime, missed_heartbeats: int, unpolled_since: datetime) -> StatusChanges:
        return await self.database.write(_refresh, now, missed_heartbeats, unpolled_since)


def _refresh(connection: Connection, now: datetime, missed_heartbeats: int, unpolled_since: datetime) -> StatusChanges:
    return StatusChanges(
        workers=_workers(connection, now, missed_heartbeats),
        pools=_pools(connection, now),
        queues=_unpolled(connection, work_queue, unpolled_since, now),
        deployments=_unpolled(connection, deployment, unpolled_since, now),
    )


def _workers(connection: Connection, now: datetime, missed: int) -> int:
    """Compared here, because adding seconds to a time is spelled differently by every database."""
    online = select(worker.c.id, worker.c.last_heartbeat_time, worker.c.heartbeat_interval_seconds)
    silent = [
        row["id"]
        for row in rows(connection, online.where(worker.c.status == "ONLINE"))
        if row["last_heartbeat_time"] + timedelta(seconds=missed * row["heartbeat_interval_seconds"]) < now
    ]
    if silent:
        gone = update(worker).where(worker.c.id.in_(silent)).values(status="OFFLINE", updated=now)
        connection.execute(gone)
    return len(silent)


def _pools(connection: Connection, now: datetime) -> int:
    """PAUSED by its switch; else READY exactly while a worker is ONLINE."""
    served = exists().where(worker.c.work_pool_id == work_pool.c.id, worker.c.status == "ONLINE")
    unpaused = work_pool.c.is_paused.is_(False)
    targets = (
        ("PAUSED", work_pool.c.is_paused.is_(True)),
        ("READY", unpaused & served),
        ("NOT_READY", unpaused & ~served),
    )
    changed = 0
    for status, condition in targets:
        other = work_pool.c.type != AGENT_TYPE, work_pool.c.status != status, condition
        changed += connection.execute(update(work_pool).where(*other).values(status=status, updated=now)).rowcount
    return changed


def _unpolled(connection: Connection, table: Table, since: datetime, now: datetime) -> int:
    silent = or_(table.c.last_polled.is_(None), table.c.last_polled < since)
    ready = update(table).where(table.c.status == "READY", silent)
    return connection.execute(ready.values(status="NOT_READY", updated=now)).rowcount
