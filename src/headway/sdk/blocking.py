"""A task that waits for other tasks lends its place: its pool may run one more while it waits.

Without this, tasks that submit tasks and wait for them would fill a pool and wait for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Lender", "lend_place", "works_for"]


class Lender(Protocol):
    """A pool whose threads may wait."""

    def lend(self) -> None: ...

    def take_back(self) -> None: ...


class _Here(threading.local):
    pool: Lender | None = None


HERE = _Here()


def works_for(pool: Lender) -> None:
    """This thread is one of the pool's, for good."""
    HERE.pool = pool


@contextmanager
def lend_place() -> Iterator[None]:
    """Around a wait; nothing happens on threads that belong to no pool."""
    pool = HERE.pool
    if pool is None:
        yield
        return
    pool.lend()
    try:
        yield
    finally:
        pool.take_back()
