"""The facts of live runs as SQLite's writer left them, so that the next batch need not read them again.

They count only if nobody has changed anything since: no other connection, which `PRAGMA data_version` tells, and
nothing else on this one, which `total_changes` tells, and only once their transaction is committed. Both are
looked at inside the next transaction, when nobody else can write any more. Otherwise everything is read anew.

PostgreSQL has no such witness, and other replicas besides: there nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from headway.core.rules.facts import Attempt, Run, Slot, World

__all__ = ["begin", "committed", "recall", "remember"]

_MAX_RUNS = 10_000
_PENDING = "headway_remembered"
_COMMITTED = "headway_remembered_and_committed"


class Known(NamedTuple):
    """What the rules look at of one run that is nobody's child."""

    run: Run
    attempt: Attempt | None
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class _Memory:
    version: tuple[int, int]
    runs: dict[UUID, Known]


def begin(connection: Connection) -> None:
    """A transaction begins: what one before it remembered and never committed is forgotten."""
    connection.info.pop(_PENDING, None)


def recall(connection: Connection, world: World, ids: Iterable[UUID]) -> set[UUID]:
    """Put what is remembered of these runs into the world; which of them that were."""
    memory = _last(connection)
    if memory is None or memory.version != _version(connection):
        connection.info.pop(_COMMITTED, None)
        return set()
    found = set()
    for id in ids:
        known = memory.runs.get(id)
        if known is not None:
            found.add(id)
            world.runs[id] = known.run
            if known.attempt is not None:
                world.attempts[id] = known.attempt
            if known.slots:
                world.slots[id] = known.slots
    return found


def remember(connection: Connection, world: World) -> None:
    """Keep what a batch has left; called after its last statement. `recall` has begun the batch."""
    if connection.dialect.name != "sqlite":
        return
    memory = _last(connection)
    connection.info.pop(_COMMITTED, None)  # it is changed now, and true only once this transaction is durable
    runs = memory.runs if memory is not None and len(memory.runs) <= _MAX_RUNS else {}
    for id, run in world.runs.items():
        if run.state is None or run.state.is_final or run.root_id is not None or run.parent_task_run_id is not None:
            runs.pop(id, None)
        else:
            runs[id] = Known(run, world.attempts.get(id), world.slots.get(id, ()))
    connection.info[_PENDING] = _Memory(_version(connection), runs)


def committed(connection: Connection) -> None:
    """The transaction is durable, and what it has remembered is true."""
    memory = connection.info.pop(_PENDING, None)
    if memory is not None:
        connection.info[_COMMITTED] = memory


def _last(connection: Connection) -> _Memory | None:
    memory: _Memory | None = connection.info.get(_COMMITTED)
    return memory


def _version(connection: Connection) -> tuple[int, int]:
    driver: Any = connection.connection.driver_connection
    return driver.execute("PRAGMA data_version").fetchone()[0], driver.total_changes
