"""Prefect 3.8.8 in an environment of its own, with the settings it ships with."""

from __future__ import annotations

import fcntl
import json
import sqlite3
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench import kept
from bench.datasets import CHUNK, FULL, RUN_SECONDS, Content, Planned, plan, steps
from bench.postgres import BenchCluster
from bench.targets.base import BenchError, Target

VERSION = "3.8.8"
VENV = kept.CACHE.parent / f"reference-{VERSION}"
PACKAGES = [f"prefect=={VERSION}", "fastapi<0.151", "sqlalchemy<2.1"]
QUIET = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
"""Not measured: calls to its maker's servers."""


def installed() -> Path:
    """The interpreter of the environment, made on first use; the tests use the same one."""
    python = VENV / "bin" / "python"
    VENV.parent.mkdir(parents=True, exist_ok=True)
    with VENV.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (VENV / "bin" / "prefect").exists():
            print(f"installing Prefect {VERSION} … ", end="", flush=True)
            venv.create(VENV, with_pip=True, clear=True)
            pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
            subprocess.run([*pip, *PACKAGES], check=True, timeout=1200)
    return python


class PrefectTarget(Target):
    """On SQLite in its home folder, or on a database of its own in a PostgreSQL cluster."""

    name = "prefect"
    package = "prefect"
    prefix = "PREFECT_"
    worker_ready = r"Worker '[^']*' started"

    def __init__(self, home: Path, cluster: BenchCluster | None = None) -> None:
        super().__init__("postgresql" if cluster else "sqlite", home, QUIET)
        self._cluster = cluster
        self._python = installed()
        self._database = cluster.new_database().rpartition("/")[2] if cluster else ""

    @property
    def python(self) -> Path:
        return self._python

    def command(self, *arguments: str) -> list[str]:
        return [str(self.python.with_name("prefect")), *arguments]

    def server_settings(self) -> dict[str, str]:
        if self._cluster is None:
            return {"PREFECT_HOME": str(self.home)}
        url = self._cluster.url(self._database).replace("postgresql:", "postgresql+asyncpg:")
        return {"PREFECT_HOME": str(self.home), "PREFECT_API_DATABASE_CONNECTION_URL": url}

    def versions(self) -> dict[str, str]:
        asked = "import platform, sqlite3, sys; print(platform.python_version(), sqlite3.sqlite_version)"
        python, sqlite = self.run([str(self.python), "-c", asked]).split()
        database = {"postgresql": self._cluster.version()} if self._cluster else {"sqlite": sqlite}
        return {"prefect": VERSION, "python": python, **database}

    def durability(self) -> dict[str, Any]:
        if self._cluster:
            return {"cluster": self._cluster.settings()}
        told = sqlite3.connect(self.home / "prefect.db")
        mode = told.execute("PRAGMA journal_mode").fetchone()[0]
        told.close()
        return {"record": {"journal_mode": mode, "synchronous": "as it ships: NORMAL"}}

    def changed_settings(self) -> dict[str, str]:
        database = {f"postgresql {k}": v for k, v in self._cluster.changed().items()} if self._cluster else {}
        return {**self.settings, **database}

    def loop_lag(self, *, reset: bool) -> dict[str, float]:
        return {}

    def database_cpu(self) -> float:
        return self._cluster.cpu() if self._cluster else 0.0

    def clear(self) -> None:
        if self._cluster:
            self._cluster.drop(self._database)
            self._database = self._cluster.new_database().rpartition("/")[2]
        for old in self.home.glob("prefect.db*"):
            old.unlink()

    def fill(self, content: Content) -> None:
        if self._cluster:
            raise BenchError("Long histories of the reference are measured on SQLite only.")
        with sqlite3.connect(self.home / "prefect.db") as connection:
            connection.execute("PRAGMA synchronous = OFF")
            _write(connection, content)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def keep(self, name: str) -> None:
        kept.keep(self.label, name, self.home.glob("prefect.db"))

    def restore(self, name: str) -> bool:
        return kept.restore(self.label, name, self.home, self.clear)

    def remove(self) -> None:
        self.stop()
        if self._cluster:
            self._cluster.drop(self._database)


def _write(connection: sqlite3.Connection, content: Content) -> None:
    columns = "id, flow_id, work_queue_id, work_queue_name"
    found = connection.execute(f"SELECT name, {columns} FROM deployment").fetchall()
    places = {name: row for name, *row in found}
    runs = plan(content)
    while chunk := [planned for planned, _ in zip(runs, range(CHUNK), strict=False)]:
        for planned in chunk:
            for table, row in _rows(planned, places):
                names, marks = ", ".join(row), ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))


def _rows(planned: Planned, places: dict[str, list[str]]) -> Iterator[tuple[str, dict[str, Any]]]:
    deployment, flow, queue, queue_name = places[FULL if planned.place is None else f"deploy-{planned.place}"]
    entered = [(kind, name, at.strftime("%Y-%m-%d %H:%M:%S.%f")) for kind, name, at in steps(planned)]
    run, states = str(uuid4()), [str(uuid4()) for _ in entered]
    kind, name, since = entered[-1]
    due = entered[0][2]
    row: dict[str, Any] = {
        "id": run,
        "created": due,
        "updated": due,
        "name": f"run-{planned.due.timestamp():.0f}",
        "flow_id": flow,
        "deployment_id": deployment,
        "work_queue_id": queue,
        "work_queue_name": queue_name,
        "parameters": json.dumps({"day": planned.due.date().isoformat()}),
        "tags": json.dumps(planned.tags),
        "expected_start_time": due,
        "next_scheduled_start_time": due,
        "state_id": states[-1],
        "state_type": kind,
        "state_name": name,
        "state_timestamp": since,
        "total_run_time": _duration(0.0),
    }
    if planned.outcome is not None:
        ran = {"start_time": entered[2][2], "end_time": since, "run_count": 1}
        row |= {**ran, "total_run_time": _duration(RUN_SECONDS)}
    for state, (kind, name, at) in zip(states, entered, strict=True):
        yield (
            "flow_run_state",
            {"id": state, "created": at, "flow_run_id": run, "type": kind, "name": name, "timestamp": at},
        )
    yield "flow_run", row


def _duration(seconds: float) -> str:
    """As its SQLite tables keep one: a moment that long after the epoch. Shorter than a minute."""
    return f"1970-01-01 00:00:{seconds:09.6f}"
