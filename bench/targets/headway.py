"""Headway, from this checkout or another one, with the settings it ships with."""

from __future__ import annotations

import platform
import sqlite3
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from bench import datasets, kept, syncs
from bench.datasets import Content
from bench.durability import NotDurable, demand
from bench.postgres import PREFIX, BenchCluster
from bench.targets.base import BenchError, Target
from headway.store import tally
from headway.version import __version__

LARGE = 500_000_000
"""Bytes from which on a kept PostgreSQL database is used in place instead of copied: only read in a row."""


class HeadwayTarget(Target):
    """On SQLite in its home folder, or on a database of its own in a PostgreSQL cluster."""

    name = "headway"
    package = "headway"
    prefix = "HEADWAY_"
    worker_ready = r"registered with id"

    def __init__(self, home: Path, cluster: BenchCluster | None = None, source: Path | None = None) -> None:
        super().__init__("postgresql" if cluster else "sqlite", home)
        self.source = source
        """Another checkout whose `src` is measured; the benchmark itself stays this one."""
        self._cluster = cluster
        self._database_url = cluster.new_database() if cluster else ""

    @property
    def python(self) -> Path:
        return Path(sys.executable)

    def command(self, *arguments: str) -> list[str]:
        return [str(self.python.with_name("headway")), *arguments]

    @property
    def flavour(self) -> str:
        return str(self.source or "")

    def env(self) -> dict[str, str]:
        elsewhere = {} if self.source is None else {"PYTHONPATH": str(self.source / "src")}
        return {**super().env(), **elsewhere}

    def server_settings(self) -> dict[str, str]:
        database = {"HEADWAY_SERVER_DATABASE_URL": self._database_url} if self._cluster else {}
        return {"HEADWAY_HOME": str(self.home), **database}

    def versions(self) -> dict[str, str]:
        database = {"postgresql": self._cluster.version()} if self._cluster else {"sqlite": sqlite3.sqlite_version}
        return {"headway": __version__, "python": platform.python_version(), **database}

    def durability(self) -> dict[str, Any]:
        told: dict[str, Any] = self.api.get("/admin/durability")
        demand(told["record"], f"{self.label}, by its server's account,")
        if self._cluster:
            told["cluster"] = self._cluster.settings()
            demand(told["cluster"], f"{self.label}, by the cluster's account,")
        return told

    def syncs_per_commit(self) -> float | None:
        if self._cluster:
            return None  # its WAL writer's: the cluster itself was asked
        names = [f"sync-{self.server_pid}-{number}" for number in range(syncs.COMMITS)]
        seen = syncs.per_commit(self.server_pid, lambda number: self.api.post("/flows/", {"name": names[number]}))
        if seen is not None and seen < 1:
            raise NotDurable(f"{self.label} says that it is durable, but syncs a file {seen:g} times per commit.")
        return seen

    def changed_settings(self) -> dict[str, str]:
        database = {f"postgresql {k}": v for k, v in self._cluster.changed().items()} if self._cluster else {}
        return {**self.settings, **database}

    def loop_lag(self, *, reset: bool) -> dict[str, float]:
        try:
            told: dict[str, float] = self.api.get(f"/admin/loop-lag?reset={str(reset).lower()}")
        except BenchError:
            return {}
        return told

    def database_cpu(self) -> float:
        return self._cluster.cpu() if self._cluster else 0.0

    def clear(self) -> None:
        if self._cluster:
            self._drop()
            self._database_url = self._cluster.new_database()
        for old in self.home.glob("headway*.db*"):
            old.unlink()

    def fill(self, content: Content) -> None:
        url = (
            self._database_url.replace("postgresql:", "postgresql+psycopg:") or f"sqlite:///{self.home / 'headway.db'}"
        )
        engine = create_engine(url)
        with engine.connect() as connection:
            # Only for writing the data set: nothing is measured meanwhile.
            unsafe = "SET synchronous_commit = off" if self._cluster else "PRAGMA synchronous = OFF"
            connection.execute(text(unsafe))
            connection.commit()
            datasets.write(connection, content)
            while tally.fold(connection):  # what a loop of the server does as runs end
                connection.commit()
            connection.commit()
            if self._cluster is None:
                connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        if self._cluster:  # what autovacuum does within minutes
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE"))
        engine.dispose()

    def keep(self, name: str) -> None:
        if self._cluster:
            new, made = _kept(name), self._database_url.rpartition("/")[2]
            content = new.rpartition("_")[0]
            for old in self._cluster.databases():
                if old.startswith(content):
                    self._cluster.drop(old)
            self._cluster.execute(f'ALTER DATABASE "{made}" RENAME TO "{new}"')
            return
        kept.keep(self.label, name, self.home.glob("headway*.db"))

    def restore(self, name: str) -> bool:
        if self._cluster:
            if _kept(name) not in self._cluster.databases():
                return False
            size = self._cluster.execute("SELECT pg_database_size(%r)" % _kept(name))[0][0]  # noqa: UP031
            self._database_url = (
                self._cluster.new_database(_kept(name)) if size < LARGE else self._cluster.url(_kept(name))
            )
            return True
        return kept.restore(self.label, name, self.home, self.clear)

    def remove(self) -> None:
        self.stop()
        self._drop()

    def _drop(self) -> None:
        """Drop the database unless it is a kept one."""
        name = self._database_url.rpartition("/")[2]
        if self._cluster and not name.startswith(PREFIX):
            self._cluster.drop(name)


def _kept(name: str) -> str:
    return PREFIX + name.replace("-", "_")
