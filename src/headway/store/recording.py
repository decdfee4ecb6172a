"""Recording task runs from events, a batch at a time (CONTRACT §2.5).

A batch is four statements whatever its size: which flow runs exist, an upsert of the task runs, whose rows
they became, an insert of the states. It may be repeated: states are known by id, and a row only moves on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import StatementError

from headway.core.errors import Invalid
from headway.store.database import Database
from headway.store.records import Row
from headway.store.tables import flow_run, task_run, task_run_state
from headway.store.upsert import insert_or

__all__ = ["RecordingStore"]

_KEY = ("flow_run_id", "task_key", "dynamic_key")
_KEPT = ("id", "created", *_KEY)
_FIRST = ("expected_start_time",)
_IF_GIVEN = ("cache_key", "cache_expiration", "task_version")


class RecordingStore:
    """`store.protocols.Recording` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def record(self, reports: Sequence[tuple[Row, Row]]) -> list[int]:
        """Record pairs of task run and state; returns the positions of those whose flow run does not exist.

        Raises Invalid if the database refuses the batch; then nothing of it is recorded.
        """
        try:
            return await self.database.write(_record, reports)
        except (StatementError, OverflowError) as error:
            reason = getattr(error, "orig", None) or error
            raise Invalid(f"The database refuses this: {reason}") from error


def _record(connection: Connection, reports: Sequence[tuple[Row, Row]]) -> list[int]:
    orphans = _orphans(connection, [run for run, _ in reports])
    lost = set(orphans)
    good = [report for position, report in enumerate(reports) if position not in lost]
    if not good:
        return orphans
    latest = _latest(run for run, _ in good)
    _upsert(connection, [run for run in latest if run["flow_run_id"] is not None], _KEY)
    _upsert(connection, [run for run in latest if run["flow_run_id"] is None], ("id",))
    names = _canonical_ids(connection, latest)
    states = [{**state, "task_run_id": names.get(run["id"], run["id"])} for run, state in good]
    connection.execute(insert_or(connection, task_run_state).on_conflict_do_nothing(index_elements=["id"]), states)
    return orphans


def _orphans(connection: Connection, runs: Sequence[Row]) -> list[int]:
    ids = {run["flow_run_id"] for run in runs} - {None}
    if not ids:
        return []
    known = set(connection.execute(select(flow_run.c.id).where(flow_run.c.id.in_(ids))).scalars())
    return [at for at, run in enumerate(runs) if run["flow_run_id"] is not None and run["flow_run_id"] not in known]


def _latest(runs: Iterable[Row]) -> list[Row]:
    """Of several reports about one task run, the one that counts."""
    latest: dict[Any, Row] = {}
    for run in runs:
        key = run["id"] if run["flow_run_id"] is None else tuple(run[name] for name in _KEY)
        if key not in latest or _rank(run) >= _rank(latest[key]):
            latest[key] = run
    return list(latest.values())


def _rank(run: Row) -> tuple[int, Any]:
    return run["attempt"] or 0, run["state_timestamp"]


def _upsert(connection: Connection, runs: Sequence[Row], key: Sequence[str]) -> None:
    if not runs:
        return
    statement = insert_or(connection, task_run)
    new = statement.excluded
    values: dict[str, Any] = {name: new[name] for name in runs[0] if name not in _KEPT}
    values |= {name: func.coalesce(task_run.c[name], new[name]) for name in _FIRST}
    values |= {name: func.coalesce(new[name], task_run.c[name]) for name in _IF_GIVEN}
    upsert = statement.on_conflict_do_update(index_elements=list(key), set_=values, where=_moves_on(statement))
    connection.execute(upsert, list(runs))


def _moves_on(statement: sqlite.Insert) -> ColumnElement[bool]:
    """A later state of the same attempt, or any state of a later one (DESIGN §3)."""
    attempt, known = func.coalesce(statement.excluded.attempt, 0), func.coalesce(task_run.c.attempt, 0)
    time, seen = statement.excluded.state_timestamp, task_run.c.state_timestamp
    return or_(attempt > known, and_(attempt == known, or_(seen.is_(None), seen < time)))


def _canonical_ids(connection: Connection, runs: Sequence[Row]) -> dict[UUID, UUID]:
    """The ids of rows that had these runs' keys before, where they are not the ids that the reports name."""
    ids = [run["id"] for run in runs]
    known = set(connection.execute(select(task_run.c.id).where(task_run.c.id.in_(ids))).scalars())
    renamed = {}
    for run in runs:
        if run["id"] not in known:
            same = and_(*(task_run.c[name] == run[name] for name in _KEY))
            renamed[run["id"]] = connection.execute(select(task_run.c.id).where(same)).scalar_one()
    return renamed
