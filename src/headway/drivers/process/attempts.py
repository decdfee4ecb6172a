"""The folder of one attempt: `<home>/attempts/<pool>/<run>-<attempt>/`, and what the shim leaves in it.

lock          held (flock) by whoever starts, then by the shim for as long as it lives
work/         where the run starts when nothing else is set
claim.json    what the claim has told of the run
stdout stderr written by the run
started.json  process and shim, written once the process runs
exit.json     how it ended
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import TypeVar
from urllib.parse import quote
from uuid import UUID

import msgspec

from headway.core.errors import DriverError, StartFailed
from headway.drivers.base import Handle, Outcome
from headway.drivers.process.identity import ProcessId, boot_id

T = TypeVar("T", bound=msgspec.Struct)

__all__ = ["AttemptDirectory", "Exit", "Started", "attempts_of_pool", "locate_attempt"]


class Started(msgspec.Struct, frozen=True):
    """What the shim says once the run's process exists."""

    pid: int
    start_time: int
    shim_pid: int
    shim_start_time: int
    boot_id: str

    @property
    def process(self) -> ProcessId:
        return ProcessId(self.pid, self.start_time)

    @property
    def shim(self) -> ProcessId:
        return ProcessId(self.shim_pid, self.shim_start_time)

    @property
    def this_boot(self) -> bool:
        return self.boot_id == boot_id()


class Exit(msgspec.Struct, frozen=True):
    """What the shim says once the run's process has ended. `time` is seconds since the epoch."""

    exit_code: int | None
    signal: int | None
    oom: bool
    peak_kib: int
    time: float

    def outcome(self) -> Outcome:
        if self.signal is None:
            return Outcome(exit_code=self.exit_code, message=f"Process exited with code {self.exit_code}.")
        name = signal_name(self.signal)
        if self.oom:
            peak = f"its peak was {self.peak_kib // 1024} MiB"
            message = f"Process was killed ({name}) while the machine ran out of memory; {peak}."
            return Outcome(signal=self.signal, reason="oom", message=message)
        return Outcome(signal=self.signal, reason="signal", message=f"Process was killed by signal {name}.")


def signal_name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return str(number)


@dataclass(frozen=True, slots=True)
class AttemptDirectory:
    path: Path
    flow_run_id: UUID
    attempt: int

    @classmethod
    def of(cls, home: Path, pool: str, flow_run_id: UUID, attempt: int) -> AttemptDirectory:
        name = f"{flow_run_id}-{attempt}"
        return cls(home / "attempts" / quote(pool, safe="") / name, flow_run_id, attempt)

    @classmethod
    def at(cls, path: Path) -> AttemptDirectory | None:
        """The attempt that a folder is of; None for any other folder."""
        run, _, attempt = path.name.rpartition("-")
        with suppress(ValueError):
            return cls(path, UUID(run), int(attempt))
        return None

    def create(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StartFailed(f"Folder '{self.path}' cannot be made: {error.strerror}.") from error

    @contextmanager
    def lock(self) -> Iterator[int | None]:
        """The lock's file descriptor (10 or above), or None while a shim or another starter holds it."""
        plain = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fd = fcntl.fcntl(plain, fcntl.F_DUPFD_CLOEXEC, 10)
        finally:
            os.close(plain)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield fd
        finally:
            os.close(fd)

    def keep_facts(self, facts: bytes) -> str:
        """Write what the claim has told; the file's path."""
        path = self.path / "claim.json"
        path.touch(mode=0o600)
        path.write_bytes(facts)
        return str(path)

    def started(self) -> Started | None:
        return read(self.path / "started.json", Started)

    def exit(self) -> Exit | None:
        return read(self.path / "exit.json", Exit)

    def handle(self, started: Started) -> Handle:
        host = socket.gethostname()
        return Handle(
            type="process",
            flow_run_id=self.flow_run_id,
            attempt=self.attempt,
            pid=f"{host}:{started.pid}",
            data={"host": host, "directory": str(self.path), **msgspec.structs.asdict(started)},
        )

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def read(path: Path, shape: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise DriverError(f"File '{path}' is damaged: {error}.") from error


def attempts_of_pool(home: Path, pool: str) -> list[AttemptDirectory]:
    folder = home / "attempts" / quote(pool, safe="")
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [found for found in map(AttemptDirectory.at, paths) if found is not None]


def locate_attempt(home: Path, flow_run_id: UUID, attempt: int) -> AttemptDirectory | None:
    for path in (home / "attempts").glob(f"*/{flow_run_id}-{attempt}"):
        return AttemptDirectory.at(path)
    return None
