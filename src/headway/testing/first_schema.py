"""A database as the first release left it: schema 0001 with thousands of runs, the same ones every time.

`make(database, runs)` builds it, `digest(database)` tells row counts and checksums per table, of the columns that
schema 0001 has; a migration must leave both as they are.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, MetaData, Table, insert

from headway.store.database import Database
from headway.store.migrate import Lineage, migrate
from headway.store.presence import Presence

__all__ = ["Digest", "digest", "make"]

Row = dict[str, Any]
Digest = Mapping[str, tuple[int, str]]
"""Table → (rows, checksum)."""

START = 1_767_225_600_000_000  # 2026-01-01 in microseconds
SECOND = 1_000_000
ENDED = ("COMPLETED", "COMPLETED", "COMPLETED", "FAILED", "CRASHED", "CANCELLED")
BATCH = 2_000


def make(database: Database, lineage: Lineage, runs: int) -> None:
    """Migrate an empty database to schema 0001 of the lineage and fill it."""
    migrate(database, dataclasses.replace(lineage, head="0001"), Presence(database.url))
    with database.engine.begin() as connection:
        tables = _reflect(connection)
        builder = _Builder(runs)
        for name, rows in builder.record() if lineage.name == "record" else builder.telemetry():
            _insert(connection, tables[name], rows)


def digest(database: Database, columns: Mapping[str, list[str]] | None = None) -> tuple[Digest, dict[str, list[str]]]:
    """Counts and checksums, and the columns they cover: give these back to compare what is there later."""
    with database.engine.connect() as connection:
        covered = columns or {
            name: [column.name for column in table.columns]
            for name, table in sorted(_reflect(connection).items())
            if not name.startswith(("headway_", "sqlite_"))
        }
        return {name: _sum(connection, name, names) for name, names in covered.items()}, dict(covered)


def _reflect(connection: Connection) -> Mapping[str, Table]:
    metadata = MetaData()
    metadata.reflect(connection)
    return metadata.tables


def _insert(connection: Connection, table: Table, rows: list[Row]) -> None:
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        if connection.dialect.name == "sqlite":
            # differs because SQLite keeps ids as 32 hex digits and JSON as text.
            batch = [{name: _as_text(value) for name, value in row.items()} for row in batch]
        connection.execute(insert(table), batch)


def _as_text(value: Any) -> Any:
    if isinstance(value, UUID):
        return value.hex
    return json.dumps(value) if isinstance(value, dict | list) else value


def _sum(connection: Connection, table: str, names: list[str]) -> tuple[int, str]:
    columns = ", ".join(f'"{name}"' for name in names)
    rows = connection.exec_driver_sql(f"SELECT {columns} FROM {table}")
    lines = sorted(json.dumps([_plain(value) for value in row], sort_keys=True) for row in rows)
    return len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """The same for both databases."""
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, str) and value[:1] in ("{", "["):
        return json.loads(value)
    return value


class _Builder:
    def __init__(self, runs: int) -> None:
        self.random = random.Random(runs)
        self.runs = runs
        self.flow_runs: list[Row] = []

    def id(self) -> UUID:
        return UUID(int=self.random.getrandbits(128), version=4)

    def row(self, at: int = START, **values: Any) -> Row:
        return {"id": self.id(), "created": at, "updated": at, **values}

    def record(self) -> Iterator[tuple[str, list[Row]]]:
        """Tables in an order in which they can be filled."""
        flows = [self.row(name=f"flow-{n}", tags=["a", f"t{n}"], labels={"n": n}) for n in range(10)]
        pools = [self._pool(n) for n in range(3)]
        queues = [
            self.row(
                work_pool_id=pool["id"], name=name, description="", is_paused=False, priority=n, status="READY",
                concurrency_limit=None if n else 5,
            )
            for pool in pools for n, name in enumerate(("default", "high"))
        ]  # fmt: skip
        workers = [self._worker(pool, n) for n, pool in enumerate(pools)]
        deployments = [self._deployment(flow, queues[n % len(queues)], n) for n, flow in enumerate(flows * 5)]
        schedules = [
            self.row(
                deployment_id=one["id"], schedule={"cron": f"{n} * * * *", "timezone": "Europe/Berlin"},
                active=bool(n % 2), parameters={"n": n},
            )
            for n, one in enumerate(deployments)
        ]  # fmt: skip
        yield from (("flow", flows), ("work_pool", pools), ("work_queue", queues), ("worker", workers))
        yield from (("deployment", deployments), ("deployment_schedule", schedules))
        yield from self._runs(deployments, workers)

    def _runs(self, deployments: list[Row], workers: list[Row]) -> Iterator[tuple[str, list[Row]]]:
        found: dict[str, list[Row]] = {
            name: []
            for name in ("flow_run", "flow_run_state", "live_run", "attempt", "slot", "flow_run_input", "task_run",
                         "task_run_state")
        }  # fmt: skip
        for n in range(self.runs):
            self._run(found, n, self.random.choice(deployments), self.random.choice(workers))
        self.flow_runs = found["flow_run"]
        yield from found.items()

    def _run(self, found: dict[str, list[Row]], n: int, deployment: Row, worker: Row) -> None:
        at = START + n * SECOND
        live = n % 50 == 0
        last = self.random.choice(("SCHEDULED", "RUNNING", "PAUSED")) if live else self.random.choice(ENDED)
        path = ["SCHEDULED"] if last == "SCHEDULED" else ["SCHEDULED", "PENDING", "RUNNING", last]
        states = [self._state(type, at + i * SECOND) for i, type in enumerate(dict.fromkeys(path))]
        run = self._flow_run(n, at, deployment, states[-1], ended=not live)
        found["flow_run"].append(run)
        found["flow_run_state"] += [{"flow_run_id": run["id"], "attempt": 1, **state} for state in states]
        if live:
            found["live_run"].append(self._live(run, last))
        if last != "SCHEDULED":
            found["attempt"].append(self._attempt(run, worker, at, ended=not live))
        if last == "RUNNING":
            limit = {"limit_id": deployment["id"], "flow_run_id": run["id"], "kind": "deployment"}
            found["slot"].append({**limit, "attempt": 1, "taken": at})
        if last == "PAUSED":
            found["flow_run_input"].append(self.row(at, flow_run_id=run["id"], key="schema", value='{"x": 1}'))
        task = self._task(run, at)
        found["task_run"].append(task)
        state = {**self._state("COMPLETED", at), "id": task["state_id"]}
        found["task_run_state"].append({"task_run_id": task["id"], **state})

    def _pool(self, n: int) -> Row:
        template = {"job_configuration": {"env": "{{ env }}"}, "variables": {"properties": {"env": {"type": "object"}}}}
        return self.row(
            name=f"pool-{n}", type="process", base_job_template=template, is_paused=False, status="READY",
            concurrency_limit=n or None, storage_configuration={},
        )  # fmt: skip

    def _worker(self, pool: Row, n: int) -> Row:
        return self.row(
            work_pool_id=pool["id"], name=f"worker-{n}", type="process", status="OFFLINE", last_heartbeat_time=START,
            heartbeat_interval_seconds=30, work_queues=[], flow_run_ids=[],
        )  # fmt: skip

    def _deployment(self, flow: Row, queue: Row, n: int) -> Row:
        return self.row(
            name=f"deployment-{n}", flow_id=flow["id"], paused=False, job_variables={"env": {"N": str(n)}},
            parameters={"when": "now", "n": n}, enforce_parameter_schema=True, tags=["d"], labels={},
            work_pool_id=queue["work_pool_id"], work_queue_id=queue["id"], work_queue_name=queue["name"],
            status="READY", entrypoint="flows.py:flow", concurrency_limit=n % 7 or None, retries=n % 3, retry_delay=1.5,
        )  # fmt: skip

    def _state(self, type: str, at: int) -> Row:
        return {
            "id": self.id(), "type": type, "name": type.title(), "timestamp": at, "message": f"became {type} – ünïcode",
            "data": {"type": "unpersisted"}, "state_details": {"run_count": 1},
        }  # fmt: skip

    def _flow_run(self, n: int, at: int, deployment: Row, state: Row, *, ended: bool) -> Row:
        return self.row(
            at, name=f"run-{n}", flow_id=deployment["flow_id"], deployment_id=deployment["id"],
            state_id=state["id"], state_type=state["type"], state_name=state["name"],
            state_timestamp=state["timestamp"], work_pool_id=deployment["work_pool_id"],
            work_queue_id=deployment["work_queue_id"], work_queue_name=deployment["work_queue_name"],
            parameters={"n": n, "text": "x" * (n % 40)}, idempotency_key=f"key-{n}" if n % 2 else None, context={},
            empirical_policy={"retries": 1}, tags=["red"] if n % 3 else ["red", "blue"], labels={}, run_count=1,
            expected_start_time=at, start_time=at + SECOND if ended else None,
            end_time=state["timestamp"] if ended else None, total_run_time=n / 7, auto_scheduled=bool(n % 2),
            job_variables={},
        )  # fmt: skip

    def _live(self, run: Row, type: str) -> Row:
        shared = ("state_type", "state_name", "work_pool_id", "work_queue_id", "deployment_id")
        return {
            "flow_run_id": run["id"], **{name: run[name] for name in shared}, "due": run["expected_start_time"],
            "claimable": type == "SCHEDULED", "state_since": run["state_timestamp"], "retries_used": 0,
            "start_failures": 0,
        }  # fmt: skip

    def _attempt(self, run: Row, worker: Row, at: int, *, ended: bool) -> Row:
        return {
            "flow_run_id": run["id"], "number": 1, "token": self.id().hex, "nonce": self.id().hex,
            "claim_id": self.id(), "worker_id": worker["id"], "worker_name": worker["name"],
            "work_pool_id": run["work_pool_id"], "handle": {"pid": 7}, "opened": at, "reported": at, "started": at,
            "ended": at + SECOND if ended else None, "outcome": {"exit_code": 0} if ended else None, "counts": True,
            "lease_end": at + 20 * SECOND, "worker_renewed": at,
        }  # fmt: skip

    def _task(self, run: Row, at: int) -> Row:
        return self.row(
            at, name="task", flow_run_id=run["id"], task_key="task", dynamic_key="0", empirical_policy={}, tags=[],
            labels={}, state_id=self.id(), state_type="COMPLETED", state_name="Completed", state_timestamp=at,
            task_inputs={"x": []}, run_count=1, flow_run_run_count=1, total_run_time=0.25, expected_start_time=at,
            start_time=at, end_time=at,
        )  # fmt: skip

    def telemetry(self) -> Iterator[tuple[str, list[Row]]]:
        yield "log", [
            self.row(
                START + n * SECOND, name="headway.flow_runs", level=20, message=f"line {n} – ünïcode",
                timestamp=START + n * SECOND, flow_run_id=self.id(), attempt=1, position=n * 80,
            )
            for n in range(self.runs)
        ]  # fmt: skip
        yield "event", [
            {
                "id": self.id(), "occurred": START + n, "received": START + n, "event": "prefect.flow-run.Completed",
                "resource_id": f"prefect.flow-run.{n}", "resource": {"n": str(n)}, "related": [], "payload": {"n": n},
            }
            for n in range(self.runs // 10)
        ]  # fmt: skip
