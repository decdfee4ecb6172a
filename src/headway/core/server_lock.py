"""`$HEADWAY_HOME/server.lock`: who serves this home, so that an embedded client uses that server.

The lock is an advisory file lock: it ends with the process that holds it, however that process ends.
The file's text is the URL of the API once the server listens.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from headway.core.errors import HeadwayError


class HomeInUse(HeadwayError):
    """Another server holds this home."""


class ServerLock:
    """Held by a server for as long as it runs."""

    def __init__(self, home: Path) -> None:
        self.path = home / "server.lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock; raises HomeInUse, naming the URL, if another server has it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise HeadwayError(
                f"Cannot write to {self.path.parent}: {error.strerror}. Set HEADWAY_HOME to a folder you can write to."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            url = os.read(descriptor, 4096).decode().strip() or "an address not known yet"
            os.close(descriptor)
            raise HomeInUse(
                f"A server already runs on {self.path.parent}, at {url}. "
                "Use that one, stop it, or set HEADWAY_HOME to another folder."
            ) from None
        self._descriptor = descriptor

    @property
    def held(self) -> bool:
        """Whether this process has the lock."""
        return self._descriptor is not None

    def publish(self, url: str) -> None:
        """Write the API's URL for embedded clients."""
        assert self._descriptor is not None, "acquire() comes first"
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, url.encode(), 0)

    def release(self) -> None:
        """Give the lock back; releasing twice is harmless."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def serving_url(home: Path) -> str | None:
    """The API URL of the server that runs on `home` now; None if none does, or it does not listen yet."""
    try:
        descriptor = os.open(home / "server.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(descriptor, 4096).decode().strip() or None
    else:
        return None  # nobody holds it: a file left behind
    finally:
        os.close(descriptor)
