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
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from bench.setup import deployed
from bench.targets.base import Target
from headway.core.ids import new_id
from headway.store.tables import deployment, flow_run, flow_run_state, live_run, metadata

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


def provide(target: Target, content: Content) -> None:
    """Make a stopped target's database one with that content."""
    name = f"{content.name}-{_digest()}"
    if not target.restore(name):
        _make(target, content)
        target.keep(name)
        target.restore(name)


def _digest() -> str:
    dialect = sqlite.dialect()
    ddl = [str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables]
    for table in metadata.sorted_tables:
        ddl += sorted(str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes)
    return hashlib.sha256("".join([*ddl, Path(__file__).read_text()]).encode()).hexdigest()[:12]


def _make(target: Target, content: Content) -> None:
    target.start()
    for number in range(DEPLOYMENTS):
        deployed(target, f"deploy-{number}", flow_name=f"flow-{number % 5}")
    deployed(target, FULL, flow_name="flow-0", concurrency_limit=1)
    target.stop()
    target.fill(lambda connection: _write(connection, content))


def _write(connection: Connection, content: Content) -> None:
    found = {row["name"]: dict(row) for row in connection.execute(select(deployment)).mappings()}
    full = found.pop(FULL)
    chance = random.Random(content.history)
    now = datetime.now(UTC)
    places = [row for _, row in sorted(found.items())]

    def place() -> dict[str, Any]:
        return places[chance.randrange(len(places))]

    groups = itertools.chain(
        (_ended(place(), now - timedelta(seconds=3600 + 20 * back), chance) for back in range(content.history, 0, -1)),
        (_waiting(full, now - timedelta(seconds=100)) for _ in range(content.behind_full)),
        (_waiting(place(), now - timedelta(seconds=50)) for _ in range(content.waiting)),
    )
    while rows := list(itertools.islice(groups, CHUNK)):
        for table in (flow_run, flow_run_state, live_run):
            _insert(connection, table, [row for group in rows for row in group.get(table.name, [])])


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


Group = dict[str, list[dict[str, Any]]]
"""Rows of one run, by table."""


def _run(place: dict[str, Any], due: datetime, tags: list[str]) -> dict[str, Any]:
    return {
        "id": new_id(),
        "created": due,
        "updated": due,
        "name": f"run-{due.timestamp():.0f}",
        "flow_id": place["flow_id"],
        "deployment_id": place["id"],
        "work_pool_id": place["work_pool_id"],
        "work_queue_id": place["work_queue_id"],
        "work_queue_name": place["work_queue_name"],
        "parameters": {"day": due.date().isoformat()},
        "tags": tags,
        "expected_start_time": due,
        "empirical_policy": {},
    }


def _states(run: dict[str, Any], entered: Iterator[tuple[str, str, datetime]]) -> list[dict[str, Any]]:
    """The run's states; the last one becomes its current one."""
    rows = [
        {"id": new_id(), "flow_run_id": run["id"], "type": kind, "name": name, "timestamp": at, "state_details": {}}
        for kind, name, at in entered
    ]
    last = rows[-1]
    run |= {
        "state_id": last["id"],
        "state_type": last["type"],
        "state_name": last["name"],
        "state_timestamp": last["timestamp"],
    }
    return rows


def _ended(place: dict[str, Any], due: datetime, chance: random.Random) -> Group:
    tags = [tag for tag in TAGS if chance.random() < 0.1]
    run = _run(place, due, tags)
    begun, ended = due + timedelta(seconds=1), due + timedelta(seconds=1 + RUN_SECONDS)
    final = chance.choice(OUTCOMES)
    steps = (
        ("SCHEDULED", "Scheduled", due),
        ("PENDING", "Pending", due + timedelta(seconds=0.5)),
        ("RUNNING", "Running", begun),
        (*final, ended),
    )
    states = _states(run, iter(steps))
    run |= {"start_time": begun, "end_time": ended, "total_run_time": RUN_SECONDS, "run_count": 1}
    return {"flow_run": [run], "flow_run_state": states}


def _waiting(place: dict[str, Any], due: datetime) -> Group:
    run = _run(place, due, [])
    states = _states(run, iter([("SCHEDULED", "Scheduled", due)]))
    # The columns that an insert of many must name in every row.
    run |= {
        "next_scheduled_start_time": due,
        "start_time": None,
        "end_time": None,
        "total_run_time": 0.0,
        "run_count": 0,
    }
    live = {
        "flow_run_id": run["id"],
        "state_type": "SCHEDULED",
        "state_name": "Scheduled",
        "work_pool_id": place["work_pool_id"],
        "work_queue_id": place["work_queue_id"],
        "deployment_id": place["id"],
        "due": due,
        "claimable": True,
        "state_since": due,
    }
    return {"flow_run": [run], "flow_run_state": states, "live_run": [live]}
