"""What a replica asks PostgreSQL while nothing happens: one statement for all of its loops (sql/…/pulse.sql)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from headway.store.database import Database
from headway.store.hot import Hot
from headway.store.protocols import Beat, Limits
from headway.store.types import from_micros, to_micros

__all__ = ["PulseStore"]


class PulseStore:
    """`store.protocols.Pulses` in SQL."""

    LOOPS: Sequence[str] = ("reaper", "late", "pauses", "cancellations", "status")

    def __init__(self, database: Database) -> None:
        self.database = database

    async def beat(self, now: datetime, limits: Limits, pools: Collection[UUID]) -> Beat:
        # A read, although it says that this replica lives: one statement needs no transaction around it.
        return await self.database.read(_beat, now, limits, pools)

    async def time(self) -> datetime:
        return await self.database.read(_time)


def _beat(connection: Connection, now: datetime, limits: Limits, pools: Collection[UUID]) -> Beat:
    def ago(seconds: float) -> int:
        return to_micros(now - timedelta(seconds=seconds))

    found = Hot(connection).rows(
        "pulse",
        now=to_micros(now),
        reachable=ago(limits.longest_gap),
        late=ago(limits.late_after),
        silent=ago(limits.silence),
        missed=limits.missed_heartbeats,
        soon=ago(-limits.ahead),
        unvouched=ago(limits.unvouched),
        pools=list(pools),
    )
    time, *due, falls_due = found[0]
    return Beat(
        time=from_micros(time),
        loops=frozenset(name for name, is_due in zip(PulseStore.LOOPS, due, strict=True) if is_due),
        falls_due={UUID(pool): from_micros(moment) for pool, moment in falls_due},
    )


def _time(connection: Connection) -> datetime:
    return from_micros(Hot(connection).rows("time")[0][0])
