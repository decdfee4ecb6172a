"""How long runs ran and how late they were, summed up in SQL: the same for flow runs and task runs.

Both figures are estimates of now, as the reference has them: a run that is RUNNING adds the time since it
entered that state, a run that is due and has not started adds the time since it was due. Seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Float, Table, and_, case, cast, func, select, type_coerce

from headway.core.states import TERMINAL, StateType
from headway.store.database import Database
from headway.store.filters import conditions
from headway.store.records import Row, rows
from headway.store.types import to_micros

__all__ = ["RunTimes"]

_FINAL = [type.value for type in TERMINAL]


@dataclass(frozen=True, slots=True)
class RunTimes:
    """`store.protocols.RunTimes` in SQL, over `flow_run` or `task_run`."""

    database: Database
    table: Table

    async def history(
        self, filters: Mapping[str, Any], start: datetime, end: datetime, interval: timedelta, now: datetime
    ) -> list[Row]:
        """Per interval (by number) and state of runs: `bucket`, `state_type`, `state_name` and the figures."""
        return await self.database.read(rows, _history(self.table, filters, start, end, interval, now))

    async def lateness(self, filters: Mapping[str, Any], now: datetime) -> float | None:
        """Mean lateness of the runs that pass; None if none does."""
        statement = select(func.avg(_lateness(self.table, now))).where(conditions(self.table, filters))
        found = await self.database.read(_scalar, statement)
        return None if found is None else float(found)


def _scalar(connection: Connection, statement: Any) -> Any:
    return connection.execute(statement).scalar_one()


def _history(
    table: Table, filters: Mapping[str, Any], start: datetime, end: datetime, interval: timedelta, now: datetime
) -> Any:
    expected = table.c.expected_start_time
    length = interval // timedelta(microseconds=1)
    runs = (
        select(
            ((type_coerce(expected, BigInteger) - to_micros(start)) // length).label("bucket"),
            table.c.state_type,
            table.c.state_name,
            _run_time(table, now).label("run_time"),
            _lateness(table, now).label("lateness"),
        )
        .where(conditions(table, filters))
        .where(expected >= start, expected < end, table.c.state_type.is_not(None))
        .subquery()
    )
    keys = (runs.c.bucket, runs.c.state_type, runs.c.state_name)
    return (
        select(
            *keys,
            func.count().label("count_runs"),
            func.sum(runs.c.run_time).label("sum_estimated_run_time"),
            func.sum(runs.c.lateness).label("sum_estimated_lateness"),
        )
        .group_by(*keys)
        .order_by(*keys)
    )


def _seconds(later: ColumnElement[Any], earlier: ColumnElement[Any]) -> ColumnElement[Any]:
    return (cast(later - earlier, Float)) / 1_000_000.0


def _run_time(table: Table, now: datetime) -> ColumnElement[Any]:
    since = _seconds(_micros(now), type_coerce(table.c.state_timestamp, BigInteger))
    running = and_(table.c.state_type == StateType.RUNNING.value, table.c.state_timestamp < now)
    return case((running, table.c.total_run_time + since), else_=table.c.total_run_time)


def _lateness(table: Table, now: datetime) -> ColumnElement[Any]:
    started, due = table.c.start_time, table.c.expected_start_time
    due_micros = type_coerce(due, BigInteger)
    waiting = and_(started.is_(None), table.c.state_type.not_in(_FINAL), due < now)
    return case(
        (started > due, _seconds(type_coerce(started, BigInteger), due_micros)),
        (waiting, _seconds(_micros(now), due_micros)),
        else_=0.0,
    )


def _micros(time: datetime) -> ColumnElement[Any]:
    return cast(to_micros(time), BigInteger)
