"""Recording task runs from events, a batch at a time (CONTRACT §2.5).

A batch is four statements whatever its size: which flow runs exist and at which attempt they are, an upsert
of the task runs, whose rows they became, an insert of the states. It may be repeated: states are known by id,
and a row only moves on. An attempt that has a successor adds to the history and changes no row (DESIGN §3).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Table, and_, func, or_, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import StatementError

from headway.core.errors import Invalid
from headway.store.database import Database
from headway.store.records import Row
from headway.store.tables import attempt, flow_run, task_run, task_run_state
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
    newest = _newest_attempts(connection, [run for run, _ in reports])
    orphans = [at for at, (run, _) in enumerate(reports) if run["flow_run_id"] not in newest]
    good = [(run, state) for run, state in reports if run["flow_run_id"] in newest]
    if not good:
        return orphans
    latest = _latest(run for run, _ in good)
    succeeded = [(run["attempt"] or math.inf) < (newest[run["flow_run_id"]] or 0) for run in latest]
    current = [run for run, is_over in zip(latest, succeeded, strict=True) if not is_over]
    _upsert(connection, [run for run in current if run["flow_run_id"] is not None], _KEY)
    _upsert(connection, [run for run in current if run["flow_run_id"] is None], ("id",))
    _add(connection, task_run, [run for run, is_over in zip(latest, succeeded, strict=True) if is_over], _KEY)
    names = _canonical_ids(connection, latest)
    states = [{**state, "task_run_id": names.get(run["id"], run["id"])} for run, state in good]
    _add(connection, task_run_state, states, ("id",))
    return orphans


def _newest_attempts(connection: Connection, runs: Sequence[Row]) -> dict[UUID | None, int | None]:
    """The flow runs that exist, and the number of their newest attempt; inline subflows have their root's."""
    ids = {run["flow_run_id"] for run in runs} - {None}
    owner = func.coalesce(flow_run.c.root_flow_run_id, flow_run.c.id)
    statement = (
        select(flow_run.c.id, func.max(attempt.c.number).label("number"))
        .outerjoin(attempt, attempt.c.flow_run_id == owner)
        .where(flow_run.c.id.in_(ids))
        .group_by(flow_run.c.id)
    )
    found: dict[UUID | None, int | None] = {row.id: row.number for row in connection.execute(statement)} if ids else {}
    return {None: None, **found}


def _add(connection: Connection, table: Table, values: Sequence[Row], key: Sequence[str]) -> None:
    """Insert what is not there yet."""
    if values:
        connection.execute(insert_or(connection, table).on_conflict_do_nothing(index_elements=list(key)), list(values))


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
    theirs, known = func.coalesce(statement.excluded.attempt, 0), func.coalesce(task_run.c.attempt, 0)
    time, seen = statement.excluded.state_timestamp, task_run.c.state_timestamp
    return or_(theirs > known, and_(theirs == known, or_(seen.is_(None), seen < time)))


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
