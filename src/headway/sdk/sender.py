"""Records on their way to the server: put from any thread without waiting, sent in batches in the background.

While the server is away a batch is kept and tried again; the buffer is bounded, and a warning says when the
server is away and when records are dropped because the buffer is full. A batch the server refuses is halved
until only the guilty record is lost, with a warning. Once another process has the attempt, nothing is sent any more.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import islice
from typing import Any, Generic, TypeVar

from headway.client.portal import Portal
from headway.core.errors import (
    FencedError,
    Forbidden,
    Gone,
    HeadwayError,
    Locked,
    NotFound,
    ServerUnreachable,
    Unavailable,
    UnexpectedReply,
)

__all__ = ["BatchSender"]

LINGER_SECONDS = 0.05
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
MOST_BYTES = 64 * 2**20
BATCH_BYTES = 4 * 2**20
T = TypeVar("T")

logger = logging.getLogger("headway.sdk")


class BatchSender(Generic[T]):
    """One kind of record (`what`, for messages). `send` is a coroutine function on the portal's loop.

    `weigh` says how large a record is, where that varies: the buffer holds 64 MB at most, a batch 4 MB or one record.
    """

    def __init__(
        self,
        what: str,
        portal: Portal,
        send: Callable[[list[T]], Awaitable[Any]],
        *,
        batch: int,
        buffer: int,
        weigh: Callable[[T], int] = lambda item: 0,
    ) -> None:
        self._what = what
        self._portal = portal
        self._send = send
        self._batch = batch
        self._buffer = buffer
        self._weigh = weigh
        self._weight = 0
        self._items: deque[T] = deque()
        self._lock = threading.Lock()
        self._running = False
        self._flushing = 0
        self._idle = threading.Event()
        self._idle.set()
        self._hurry: asyncio.Event | None = None
        self._stopped = self._fenced = False
        self.dropped = 0
        self.away = False

    def put(self, item: T) -> None:
        """Take a record; never waits."""
        if self._fenced:
            return
        if len(self._items) >= self._buffer or self._weight > MOST_BYTES or self._stopped:
            self._drop()
            return
        self._weight += self._weigh(item)  # near enough: two threads may count one less
        self._items.append(item)
        if not self._running:
            self._start()
        elif len(self._items) == self._batch:
            self.hasten()

    def _start(self) -> None:
        with self._lock:
            if self._running:
                return
            self._running = True
            self._idle.clear()
        self._portal.submit(self._drain())

    def _drop(self) -> None:
        self.dropped += 1
        if self.dropped == 1:
            logger.warning(
                "The buffer of %d %s is full because the server does not take them; new ones are dropped.",
                self._buffer,
                self._what,
            )

    async def _drain(self) -> None:
        hurry = self._hurry = asyncio.Event()
        while True:
            if not self._flushing and len(self._items) < self._batch:
                with suppress(TimeoutError):
                    await asyncio.wait_for(hurry.wait(), LINGER_SECONDS)
            hurry.clear()
            batch = self._next()
            await self._deliver(batch)
            for item in batch:
                self._items.popleft()
                self._weight -= self._weigh(item)
            if self._fenced:
                self._items.clear()
            with self._lock:
                if not self._items:
                    self._running, self._weight = False, 0
                    if not self._items:
                        self._idle.set()
                        return
                    self._running = True  # somebody put one in between, and saw it running

    def _next(self) -> list[T]:
        """The next batch: so many records, and if they are large fewer."""
        batch = list(islice(self._items, self._batch))
        weight = 0
        for at, item in enumerate(batch):
            weight += self._weigh(item)
            if weight > BATCH_BYTES and at:
                return batch[:at]
        return batch

    async def _deliver(self, batch: list[T]) -> None:
        """Send a batch, for as long as it takes; what the server refuses for good is given up alone."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._send(batch)
            except (FencedError, Gone):
                self._fenced = True  # the run is somebody else's now; nobody wants these records, or later ones
                return
            except HeadwayError as error:
                if not _passes(error):
                    await self._halve(batch, error)
                    return
                self._warn_away(error)
            except Exception as error:
                await self._halve(batch, error)
                return
            else:
                self._back()
                return
            await asyncio.sleep(pause * random.uniform(0.7, 1.3))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _halve(self, batch: list[T], error: Exception) -> None:
        if len(batch) == 1:
            self.dropped += 1
            logger.warning("The server refuses one of the %s, which is dropped: %s", self._what, error)
            return
        middle = len(batch) // 2
        await self._deliver(batch[:middle])
        await self._deliver(batch[middle:])

    def _warn_away(self, error: Exception) -> None:
        if not self.away:
            self.away = True
            logger.warning(
                "%s The run goes on; its %s are kept in memory (at most %d) until the server is back.",
                error,
                self._what,
                self._buffer,
            )

    def _back(self) -> None:
        if self.away:
            self.away = False
            logger.warning("The server is back; the %s kept in memory are being delivered.", self._what)

    def flush(self, timeout: float) -> bool:
        """Wait until everything put so far is delivered, `timeout` seconds at most; whether it is."""
        self._flushing += 1
        try:
            self.hasten()
            deadline = time.monotonic() + timeout
            while self._items or not self._idle.is_set():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._idle.wait(min(left, 0.5))
            return True
        finally:
            self._flushing -= 1

    def hasten(self) -> None:
        """Send what there is now, without waiting for more."""
        hurry = self._hurry
        if hurry is not None and self._running:
            self._portal.loop.call_soon_threadsafe(hurry.set)

    @property
    def is_idle(self) -> bool:
        """Whether everything put so far is delivered or dropped."""
        return not self._items and self._idle.is_set()

    @property
    def waiting(self) -> int:
        """Records not delivered yet."""
        return len(self._items)

    def close(self) -> None:
        """Take nothing more."""
        self._stopped = True


def _passes(error: HeadwayError) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, ServerUnreachable | Unavailable | Locked | Forbidden | NotFound):
        return True
    return isinstance(error, UnexpectedReply) and (error.status >= 500 or error.status in (408, 425, 429))
