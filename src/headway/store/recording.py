"""Recording task runs as their engines report them, a batch at a time (CONTRACT §2.5).

A batch is four statements whatever its size: which flow runs exist and at which attempt they are, an upsert
of the task runs, whose rows they became, an insert of the states. It may be repeated: states are known by id,
and a row only moves on. An attempt that has a successor adds to the history and changes no row (DESIGN §3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, and_, func, or_, select
from sqlalchemy.exc import StatementError

from headway.core.errors import Invalid
from headway.store.batches import json_text, read_ids, write_rows
from headway.store.database import Database
from headway.store.protocols import RecordedRun
from headway.store.tables import task_run
from headway.store.types import to_micros
from headway.store.upsert import insert_or

__all__ = ["RecordingStore"]

_COLUMNS = (
    *("id", "created", "updated", "flow_run_id", "attempt", "name", "task_key", "dynamic_key", "cache_key"),
    *("cache_expiration", "task_version", "empirical_policy", "tags", "labels", "task_inputs", "state_id"),
    *("state_type", "state_name", "state_timestamp", "run_count", "flow_run_run_count", "expected_start_time"),
    *("next_scheduled_start_time", "start_time", "end_time", "total_run_time"),
)
_KEPT = ("id", "created")
_FIRST = ("expected_start_time",)
_IF_GIVEN = ("cache_key", "cache_expiration", "task_version")


class RecordingStore:
    """`store.protocols.Recording` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def record(self, runs: Sequence[RecordedRun], attempt: int | None, now: datetime) -> list[int]:
        """Record a batch; returns the positions of those whose flow run does not exist.

        Raises Invalid if the database refuses the batch; then nothing of it is recorded.
        """
        try:
            return await self.database.write(_record, runs, attempt, now)
        except (StatementError, OverflowError) as error:
            reason = getattr(error, "orig", None) or error
            raise Invalid(f"The database refuses this: {reason}") from error


def _record(connection: Connection, runs: Sequence[RecordedRun], attempt: int | None, now: datetime) -> list[int]:
    newest = _newest_attempts(connection, {run.flow_run_id for run in runs} - {None})
    orphans = [at for at, run in enumerate(runs) if run.flow_run_id not in newest]
    good = [run for run in runs if run.flow_run_id in newest] if orphans else runs
    if not good:
        return orphans
    latest = _latest(good)
    over = {id for id, number in newest.items() if attempt is not None and attempt < (number or 0)}
    current = [run for run in latest if run.flow_run_id is not None and run.flow_run_id not in over]
    write_rows(connection, "task_runs_upsert", _rows(current, attempt, now))
    if len(current) < len(latest):
        _add(connection, [run for run in latest if run.flow_run_id in over], attempt, now)
        _upsert_alone(connection, [run for run in latest if run.flow_run_id is None], attempt, now)
    names = _canonical_ids(connection, latest)
    write_rows(connection, "task_run_states_add", _state_rows(good, names))
    return orphans


def _newest_attempts(connection: Connection, ids: set[UUID | None]) -> dict[UUID | None, int | None]:
    """The flow runs that exist, and the number of their newest attempt; inline subflows have their root's."""
    found: dict[UUID | None, int | None] = {None: None}
    for id, number in read_ids(connection, "attempts_newest", [id.hex for id in ids if id is not None]) if ids else ():
        found[id if isinstance(id, UUID) else UUID(id)] = number
    return found


def _latest(runs: Iterable[RecordedRun]) -> list[RecordedRun]:
    """Of several reports about one task run, the one that counts."""
    latest: dict[Any, RecordedRun] = {}
    for run in runs:
        key: Any = run.id if run.flow_run_id is None else (run.flow_run_id, run.task_key, run.dynamic_key)
        known = latest.get(key)
        if known is None or run.states[-1].timestamp >= known.states[-1].timestamp:
            latest[key] = run
    return list(latest.values())


def _rows(runs: Iterable[RecordedRun], attempt: int | None, now: datetime) -> list[tuple[Any, ...]]:
    """The runs as both databases take them: ids as hex digits, times in microseconds, JSON as text."""
    moment = to_micros(now)
    return [
        (
            run.id.hex,
            moment,
            moment,
            run.flow_run_id and run.flow_run_id.hex,
            attempt,
            run.name,
            run.task_key,
            run.dynamic_key,
            run.cache_key,
            run.cache_expiration and to_micros(run.cache_expiration),
            run.task_version,
            json_text(run.empirical_policy),
            json_text(run.tags),
            json_text(run.labels),
            json_text(run.task_inputs),
            run.states[-1].id.hex,
            run.states[-1].type,
            run.states[-1].name,
            to_micros(run.states[-1].timestamp),
            run.run_count,
            run.flow_run_run_count,
            to_micros(run.expected_start_time),
            run.next_scheduled_start_time and to_micros(run.next_scheduled_start_time),
            run.start_time and to_micros(run.start_time),
            run.end_time and to_micros(run.end_time),
            run.total_run_time,
        )
        for run in runs
    ]


def _state_rows(runs: Iterable[RecordedRun], names: dict[UUID, str]) -> list[tuple[Any, ...]]:
    return [
        (
            state.id.hex,
            names.get(run.id) or run.id.hex,
            state.type,
            state.name,
            to_micros(state.timestamp),
            state.message,
            None if state.data is None else json_text(state.data),
            json_text(state.state_details),
        )
        for run in runs
        for state in run.states
    ]


def _canonical_ids(connection: Connection, runs: Sequence[RecordedRun]) -> dict[UUID, str]:
    """The ids of rows that had these runs' keys before, where they are not the ids that the reports name."""
    found = [row[0] for row in read_ids(connection, "task_runs_known", [run.id.hex for run in runs])]
    if len(found) == len(runs):
        return {}
    known = {id if isinstance(id, UUID) else UUID(id) for id in found}
    renamed = {}
    for run in runs:
        if run.id not in known:
            same = and_(
                task_run.c.flow_run_id == run.flow_run_id,
                task_run.c.task_key == run.task_key,
                task_run.c.dynamic_key == run.dynamic_key,
            )
            renamed[run.id] = connection.execute(select(task_run.c.id).where(same)).scalar_one().hex
    return renamed


# Seldom: runs of an attempt that has a successor, and task runs outside of flows.


def _values(runs: Iterable[RecordedRun], attempt: int | None, now: datetime) -> list[dict[str, Any]]:
    shared = {"created": now, "updated": now, "attempt": attempt}
    return [
        {
            **{name: msgspec.to_builtins(value) for name, value in run._asdict().items() if name in _AS_JSON},
            **{name: value for name, value in run._asdict().items() if name in _COLUMNS and name not in _AS_JSON},
            "state_id": run.states[-1].id,
            "state_type": run.states[-1].type,
            "state_name": run.states[-1].name,
            "state_timestamp": run.states[-1].timestamp,
            **shared,
        }
        for run in runs
    ]


_AS_JSON = ("empirical_policy", "tags", "labels", "task_inputs")


def _add(connection: Connection, runs: Sequence[RecordedRun], attempt: int | None, now: datetime) -> None:
    """Insert what is not there yet."""
    if runs:
        insert = insert_or(connection, task_run)
        keep = insert.on_conflict_do_nothing(index_elements=["flow_run_id", "task_key", "dynamic_key"])
        connection.execute(keep, _values(runs, attempt, now))


def _upsert_alone(connection: Connection, runs: Sequence[RecordedRun], attempt: int | None, now: datetime) -> None:
    """Task runs without a flow run, known by their id; they move on like others (task_runs_upsert.sql)."""
    if not runs:
        return
    insert = insert_or(connection, task_run)
    new, known = insert.excluded, task_run.c
    values: dict[str, Any] = {name: new[name] for name in _COLUMNS if name not in _KEPT}
    values |= {name: func.coalesce(known[name], new[name]) for name in _FIRST}
    values |= {name: func.coalesce(new[name], known[name]) for name in _IF_GIVEN}
    later = or_(known.state_timestamp.is_(None), known.state_timestamp < new.state_timestamp)
    connection.execute(
        insert.on_conflict_do_update(index_elements=["id"], set_=values, where=later), _values(runs, attempt, now)
    )
