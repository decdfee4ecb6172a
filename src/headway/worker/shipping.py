"""Sends a run's output to its logs: in batches, each line once however often it is read or sent.

A line's id is made from (run, attempt, stream, byte offset), so the server knows a line it already has
(DESIGN §4, Logs). Times never stand still within an attempt, so that time order is the order of reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

from headway.drivers.base import LogLine
from headway.wire.logs import LogCreate
from headway.worker.control_plane import ControlPlane
from headway.worker.delivery import until_accepted
from headway.worker.memory import AttemptRecord

__all__ = ["LogShipper", "log_id"]

NAMESPACE = uuid5(NAMESPACE_URL, "urn:headway:log-lines")
LEVELS = {"stdout": 20, "stderr": 30}
BATCH_LINES = 500
BATCH_CHARACTERS = 500_000
BATCH_SECONDS = 0.5
WAITING_LINES = 5_000
"""How many lines wait in memory; when the server is away, the rest waits where the driver has it."""


def log_id(flow_run_id: UUID, attempt: int, stream: str, offset: int) -> UUID:
    return uuid5(NAMESPACE, f"{flow_run_id}/{attempt}/{stream}/{offset}")


class LogShipper:
    """One attempt's output. `sent` is called after each accepted batch, with the record's offsets moved on."""

    def __init__(
        self,
        plane: ControlPlane,
        record: AttemptRecord,
        sent: Callable[[], None],
        echo: Callable[[str], None] | None,
    ) -> None:
        self._plane = plane
        self._record = record
        self._sent = sent
        self._echo = echo
        self._queue: asyncio.Queue[LogLine | None] = asyncio.Queue(WAITING_LINES)
        self._last: datetime | None = None

    async def run(self, lines: AsyncIterator[LogLine]) -> None:
        """Ship until the output ends and all of it is accepted."""
        reading = asyncio.create_task(self._read(lines))
        try:
            while batch := await self._batch():
                await self._send(batch)
            await reading
        finally:
            reading.cancel()

    async def _read(self, lines: AsyncIterator[LogLine]) -> None:
        try:
            async for line in lines:
                if self._echo is not None:
                    self._echo(line.text)
                await self._queue.put(line)
        finally:
            await self._queue.put(None)

    async def _batch(self) -> list[LogLine]:
        """The next lines: waits for the first, then briefly for company; empty at the end."""
        batch: list[LogLine] = []
        characters = 0
        loop = asyncio.get_running_loop()
        deadline: float | None = None
        while len(batch) < BATCH_LINES and characters < BATCH_CHARACTERS:
            try:
                timeout = None if deadline is None else max(deadline - loop.time(), 0)
                line = await asyncio.wait_for(self._queue.get(), timeout)
            except TimeoutError:
                break
            if line is None:
                if batch:
                    self._queue.put_nowait(None)
                break
            batch.append(line)
            characters += len(line.text)
            deadline = deadline or loop.time() + BATCH_SECONDS
        return batch

    async def _send(self, batch: list[LogLine]) -> None:
        logs = [self._log(line) for line in batch if line.text.strip()]
        if logs:
            await until_accepted(lambda: self._plane.create_logs(logs), f"Output of flow run '{self._record.name}'")
        for line in batch:
            self._record.offsets[line.stream] = line.after
        self._sent()

    def _log(self, line: LogLine) -> LogCreate:
        time = line.time
        if self._last is not None and time <= self._last:
            time = self._last + timedelta(microseconds=1)
        self._last = time
        record = self._record
        return LogCreate(
            name=f"headway.{line.stream}",
            level=LEVELS.get(line.stream, 20),
            message=line.text,
            timestamp=time,
            id=log_id(record.flow_run_id, record.attempt, line.stream, line.offset),
            flow_run_id=record.flow_run_id,
        )
