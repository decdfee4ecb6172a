"""The benchmark's PostgreSQL: the tests' throw-away cluster, but with a data folder that later runs find again.

So a database with a million runs is written once. Two runs at the same time get a cluster each: the second one's
is thrown away with it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from bench import processes
from headway.testing.postgres import Cluster

KEPT = Path(tempfile.gettempdir()) / f"headway-bench-postgresql-{os.geteuid()}"
"""Where the unprivileged user that PostgreSQL runs as can walk to."""
PREFIX = "kept_"
PLACE = ("port", "listen_addresses", "unix_socket_directories", "log_timezone", "TimeZone", "lc_messages")


class BenchCluster(Cluster):
    """PostgreSQL with the settings it comes with."""

    def __enter__(self) -> Self:
        KEPT.mkdir(exist_ok=True)
        KEPT.chmod(0o755)
        self._lock: IO[str] | None = (KEPT / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            self._lock = None
        super().__enter__()
        for name in self.databases():
            if not name.startswith(PREFIX):
                self.drop(name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._lock is not None:
            self._lock.close()

    def _initialise(self) -> None:
        data = KEPT / "data"
        if self._lock is None:
            super()._initialise()
        elif (data / "PG_VERSION").exists() and (KEPT / "complete").exists():
            (self.folder / "data").symlink_to(data)
        else:
            shutil.rmtree(data, ignore_errors=True)
            super()._initialise()
            shutil.move(self.folder / "data", data)
            (KEPT / "complete").touch()
            (self.folder / "data").symlink_to(data)

    def databases(self) -> list[str]:
        rows = self.execute("SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'")
        return [str(name) for (name,) in rows]

    def drop(self, name: str) -> None:
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def settings(self) -> dict[str, str]:
        """What decides whether a commit is durable, as a connection of ours sees it."""
        names = ("fsync", "synchronous_commit", "full_page_writes")
        return {"database": "postgresql", **{name: str(self.execute(f"SHOW {name}")[0][0]) for name in names}}

    def changed(self) -> dict[str, str]:
        """Settings that are not PostgreSQL's own defaults, but for where it is and what time zone that has."""
        rows = self.execute(
            "SELECT name, setting FROM pg_settings WHERE source NOT IN ('default', 'override') AND setting <> boot_val"
        )
        return {str(name): str(value) for name, value in rows if name not in PLACE}

    def version(self) -> str:
        return str(self.execute("SHOW server_version")[0][0])

    def cpu(self) -> float:
        """CPU seconds of all its processes."""
        return processes.cpu_seconds(self.pid)
