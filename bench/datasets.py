"""Databases with a long history, written once through the store's own tables and kept below .cache/bench.

The flows, pool and deployments are made through the API by a server; the runs are then written straight into its
tables, and the result is copied for each measurement. The name of a kept one has a digest of the schema and of this
file in it, so that neither can change unnoticed.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Column, ColumnDefault, Connection, Dialect, Table, select

import headway.store
from bench.setup import deployed
from bench.targets.base import Target
from headway.core.ids import new_id
from headway.store.tables import deployment, flow_run, flow_run_state, live_run

DEPLOYMENTS = 20
FULL = "full"
CHUNK = 5000
TAGS = ("nightly", "blue", "green", "red")
OUTCOMES = (("COMPLETED", "Completed"),) * 17 + (("FAILED", "Failed"),) * 2 + (("CANCELLED", "Cancelled"),)
RUN_SECONDS = 42.0


@dataclass(frozen=True, slots=True)
class Content:
    """How many runs: ended ones, waiting ones of `DEPLOYMENTS` deployments, waiting ones behind a full deployment."""

    history: int = 0
    waiting: int = 0
    behind_full: int = 0

    @property
    def name(self) -> str:
        return f"{self.history}-{self.waiting}-{self.behind_full}"


@dataclass(frozen=True, slots=True)
class Planned:
    """One run to write, of the deployment `place` (a number, or None for the full one)."""

    place: int | None
    due: datetime
    tags: list[str]
    outcome: tuple[str, str] | None
    """State type and name it ended with; None: it waits."""


def plan(content: Content) -> Iterator[Planned]:
    """The same runs for every system: oldest first, one every 20 seconds until an hour ago."""
    chance = random.Random(content.history)
    now = datetime.now(UTC)
    for back in range(content.history, 0, -1):
        tags = [tag for tag in TAGS if chance.random() < 0.1]
        due = now - timedelta(seconds=3600 + 20 * back)
        yield Planned(chance.randrange(DEPLOYMENTS), due, tags, chance.choice(OUTCOMES))
    for _ in range(content.behind_full):
        yield Planned(None, now - timedelta(seconds=100), [], None)
    for _ in range(content.waiting):
        yield Planned(chance.randrange(DEPLOYMENTS), now - timedelta(seconds=50), [], None)


def steps(run: Planned) -> list[tuple[str, str, datetime]]:
    """The states it entered: type, name, when."""
    scheduled = ("SCHEDULED", "Scheduled", run.due)
    if run.outcome is None:
        return [scheduled]
    begun = run.due + timedelta(seconds=1)
    return [
        scheduled,
        ("PENDING", "Pending", run.due + timedelta(seconds=0.5)),
        ("RUNNING", "Running", begun),
        (*run.outcome, begun + timedelta(seconds=RUN_SECONDS)),
    ]


def provide(target: Target, content: Content) -> None:
    """Make a stopped target's database one with that content."""
    name = f"{content.name}-{_digest(target)}"
    if not target.restore(name):
        target.clear()
        _make(target, content)
        target.keep(name)
        target.restore(name)


def _digest(target: Target) -> str:
    """Of what makes the schema and of what is written into it."""
    folder = Path(headway.store.__file__).parent
    sources = [Path(__file__), *(sorted(folder.rglob("*.py")) if target.name == "headway" else [])]
    said = target.flavour.encode() + b"".join(source.read_bytes() for source in sources if _makes_schema(source))
    return hashlib.sha256(said).hexdigest()[:12]


def _makes_schema(source: Path) -> bool:
    names = ("tables.py", "guards.py", "tally.py", "types.py", Path(__file__).name)
    return source.name in names or "migrations" in source.parts


def _make(target: Target, content: Content) -> None:
    target.start()
    for number in range(DEPLOYMENTS):
        deployed(target, f"deploy-{number}", flow_name=f"flow-{number % 5}")
    deployed(target, FULL, flow_name="flow-0", concurrency_limit=1)
    target.stop()
    target.fill(content)


def write(connection: Connection, content: Content) -> None:
    """Write the runs into Headway's tables, which have the deployments already."""
    places = {row["name"]: dict(row) for row in connection.execute(select(deployment)).mappings()}
    runs = plan(content)
    while groups := [_rows(run, places) for run in itertools.islice(runs, CHUNK)]:
        for table in (flow_run, flow_run_state, live_run):
            _insert(connection, table, [row for group in groups for row in group[table.name]])


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Many rows at once, below SQLAlchemy, with the columns' own types and defaults."""
    if not rows:
        return
    columns = [column for column in table.columns if column.name != "seq"]
    codes = [_code(column, connection.dialect) for column in columns]
    names = ", ".join(f'"{column.name}"' for column in columns)
    values = ([code(row.get(column.name)) for column, code in zip(columns, codes, strict=True)] for row in rows)
    cursor: Any = connection.connection.cursor()
    if connection.dialect.name == "sqlite":
        places = ", ".join("?" * len(columns))
        cursor.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({places})", values)
    else:
        with cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for line in values:
                copy.write_row(line)


def _code(column: Column[Any], dialect: Dialect) -> Callable[[Any], Any]:
    """From a value, or None for the column's default, to what the database's driver takes."""
    kind: Any = column.type.dialect_impl(dialect)
    process: Callable[[Any], Any] = kind.bind_processor(dialect) or (lambda value: value)
    default = column.default
    given = None
    if isinstance(default, ColumnDefault):
        given = default.arg(None) if callable(default.arg) else default.arg
    fallback = None if given is None else process(given)
    return lambda value: fallback if value is None else process(value)


def _rows(planned: Planned, places: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """One run's rows, by table."""
    place = places[FULL if planned.place is None else f"deploy-{planned.place}"]
    run_id, entered = new_id(), steps(planned)
    states = [
        {"id": new_id(), "flow_run_id": run_id, "type": kind, "name": name, "timestamp": at, "state_details": {}}
        for kind, name, at in entered
    ]
    kind, name, since = entered[-1]
    where = {column: place[column] for column in ("work_pool_id", "work_queue_id")} | {"deployment_id": place["id"]}
    run = {
        **where,
        "id": run_id,
        "created": planned.due,
        "updated": planned.due,
        "name": f"run-{planned.due.timestamp():.0f}",
        "flow_id": place["flow_id"],
        "work_queue_name": place["work_queue_name"],
        "parameters": {"day": planned.due.date().isoformat()},
        "tags": planned.tags,
        "expected_start_time": planned.due,
        "state_id": states[-1]["id"],
        "state_type": kind,
        "state_name": name,
        "state_timestamp": since,
    }
    if planned.outcome is not None:
        ran = {"start_time": entered[2][2], "end_time": since, "total_run_time": RUN_SECONDS, "run_count": 1}
        return {"flow_run": [run | ran], "flow_run_state": states, "live_run": []}
    run["next_scheduled_start_time"] = planned.due
    live = {
        **where,
        "flow_run_id": run_id,
        "state_type": kind,
        "state_name": name,
        "due": planned.due,
        "claimable": True,
        "state_since": planned.due,
    }
    return {"flow_run": [run], "flow_run_state": states, "live_run": [live]}
