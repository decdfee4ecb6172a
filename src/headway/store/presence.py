"""Who has a SQLite file open: an older process must not find its tables changed under it. (On PostgreSQL every
connection says so by itself, with an advisory lock that ends with it: `store.postgresql.PRESENCE`.)

Every process that uses the file holds a shared advisory lock beside it; a migration of a file that has data
needs the exclusive one. The lock is on a file of its own, because closing any descriptor of the database
file would drop SQLite's own locks on it.
"""

from __future__ import annotations

import fcntl
import os

from headway.core.errors import StoreError
from headway.store.database import sqlite_path


class Presence:
    """This process's share in a database file; nothing to hold for other databases."""

    def __init__(self, url: str) -> None:
        self._path = sqlite_path(url)
        self._descriptor: int | None = None

    def enter(self) -> None:
        """Say that this process uses the file; waits for a migration that is under way."""
        if self._path is not None and self._descriptor is None:
            beside = self._path.with_name(self._path.name + ".users")
            self._descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def be_alone(self) -> None:
        """Become the only user until `share_again`; raises StoreError if there are others."""
        if self._descriptor is None:
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)
            raise StoreError(
                f"{self._path} was made by an older Headway and has to be upgraded, but other processes use it. "
                "Stop them first, then start this one again."
            ) from None

    def share_again(self) -> None:
        """Let others in again."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def leave(self) -> None:
        """This process no longer uses the file; leaving twice is harmless."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
