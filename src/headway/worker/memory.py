"""What a worker keeps on disk so that its next incarnation goes on where it stopped.

    <home>/workers/<pool>/<name>/lock                  held while a worker of this name lives on this machine
                                worker.json            the id it registered with
                                <run>-<attempt>.json   an attempt: token, handle, how far its output was sent

Files are written whole or not at all and readable by their owner only (they hold attempt tokens). A worker
that stops cleanly leaves nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

from headway.core.errors import HeadwayError, WorkerNameTakenError
from headway.wire.base import Reply, decode, encode

__all__ = ["AttemptRecord", "Memory"]

logger = logging.getLogger("headway.worker")


class AttemptRecord(Reply):
    """One attempt as its worker knows it. `handle` is null until it is started; `offsets` are bytes sent."""

    flow_run_id: UUID
    attempt: int
    token: str
    name: str
    grace_seconds: float
    echo: bool
    handle: dict[str, Any] | None
    offsets: dict[str, int]


class WorkerRecord(Reply):
    worker_id: UUID


class Memory:
    """Opened once, before registering; raises WorkerNameTakenError if a worker of this name lives here."""

    def __init__(self, home: Path, pool: str, name: str) -> None:
        self.folder = home / "workers" / quote(pool, safe="") / quote(name, safe="")
        self._lock = self._hold(pool, name)
        self.worker_id = self._worker_id()

    def _hold(self, pool: str, name: str) -> int:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise HeadwayError(
                f"Cannot write to {self.folder}: {error.strerror}. Set HEADWAY_HOME to a folder you can write to."
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise WorkerNameTakenError(name, pool) from None
        return fd

    def _worker_id(self) -> UUID:
        path = self.folder / "worker.json"
        with contextlib.suppress(FileNotFoundError):
            return decode(path.read_bytes(), WorkerRecord).worker_id
        made = WorkerRecord(worker_id=uuid4())
        write(path, encode(made))
        return made.worker_id

    def attempts(self) -> list[AttemptRecord]:
        """What the last incarnation held."""
        return [record for path in sorted(self.folder.glob("*-*.json")) if (record := self._read(path)) is not None]

    def _read(self, path: Path) -> AttemptRecord | None:
        try:
            return decode(path.read_bytes(), AttemptRecord)
        except Exception as error:  # a damaged file must not keep the worker from starting
            logger.warning("File %s cannot be read and is ignored: %s", path, error)
            return None

    def keep(self, record: AttemptRecord) -> None:
        write(self._path(record), encode(record))

    def forget(self, record: AttemptRecord) -> None:
        self._path(record).unlink(missing_ok=True)

    def inherit(self, worker_name: str, flow_run_id: UUID, attempt: int) -> AttemptRecord | None:
        """What another worker of this home and pool kept of an attempt that is adopted from it; it is gone there."""
        folder = self.folder.parent / quote(worker_name, safe="")
        path = folder / f"{flow_run_id}-{attempt}.json"
        if folder == self.folder or not path.is_file():
            return None
        record = self._read(path)
        path.unlink(missing_ok=True)
        if not list(folder.glob("*-*.json")) and not is_held(folder / "lock"):
            shutil.rmtree(folder, ignore_errors=True)
        return record

    def is_kept_by_living(self, flow_run_id: UUID, attempt: int) -> bool:
        """Whether a worker of this home and pool that lives, this one or another, has the attempt in hand."""
        found = self.folder.parent.glob(f"*/{flow_run_id}-{attempt}.json")
        return any(path.parent == self.folder or is_held(path.parent / "lock") for path in found)

    def _path(self, record: AttemptRecord) -> Path:
        return self.folder / f"{record.flow_run_id}-{record.attempt}.json"

    def close(self, clean: bool) -> None:
        """Let go of the name; a `clean` stop leaves nothing behind."""
        if clean:
            shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._lock)


def is_held(lock: Path) -> bool:
    """Whether a living worker holds this lock."""
    try:
        fd = os.open(lock, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def write(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
    new.replace(path)
