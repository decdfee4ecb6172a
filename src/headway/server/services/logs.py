"""Log lines: taken in batches, read in the order (time, attempt, position), downloaded as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from headway.core.clock import Clock
from headway.core.ids import new_id
from headway.core.rules.facts import Caller
from headway.server.services.fencing import Fences, Kept
from headway.server.services.shaping import shaped
from headway.store.protocols import Filters, Logs, Row
from headway.wire.logs import Log, LogCreate

__all__ = ["MAX_BYTES", "LogService"]

MAX_BYTES = 1_000_000
"""What one line may hold (CONTRACT §2.4); the rest of a longer one is cut off, which it says."""
_DOWNLOAD_PAGE = 1000
_CUT = " … [cut at 1 MB]"


class LogService:
    """Takes lines in and gives them back."""

    def __init__(self, store: Logs, clock: Clock, fences: Fences | None = None) -> None:
        self._store = store
        self._fences = fences
        self._clock = clock

    async def add(self, lines: Sequence[LogCreate], attempt: int | None, fence: Caller | None = None) -> None:
        """Keep the lines; one whose id is known is ignored. `attempt` is that of lines that name none.

        Raises FencedError or LeaseLostError if some are about a run that is not the sender's any more; the others
        are kept.
        """
        now = self._clock.now()
        runs = [line.flow_run_id for line in lines]
        kept = Kept({}) if self._fences is None else await self._fences.kept(runs, fence)
        if allowed := kept.of(lines, runs):
            await self._store.add([_row(line, attempt, now) for line in allowed])
        kept.close()

    async def page(self, filters: Filters, sort: str | None, limit: int, offset: int) -> list[Log]:
        return [shaped(Log, row) for row in await self._store.page(filters, sort=sort, limit=limit, offset=offset)]

    async def as_csv(self, flow_run_id: UUID) -> bytes:
        """All lines of a flow run, with a heading."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(("timestamp", "level", "flow_run_id", "task_run_id", "message"))
        filters = {"logs": {"flow_run_id": {"any_": [flow_run_id]}}}
        offset = 0
        while found := await self._store.page(filters, limit=_DOWNLOAD_PAGE, offset=offset):
            for line in found:
                names = ("timestamp", "level", "flow_run_id", "task_run_id", "message")
                writer.writerow([line[name] for name in names])
            offset += _DOWNLOAD_PAGE
        return text.getvalue().encode()


def _row(line: LogCreate, attempt: int | None, now: datetime) -> Row:
    return {
        "id": line.id or new_id(),
        "created": now,
        "updated": now,
        "name": line.name,
        "level": line.level,
        "message": _cut(line.message),
        "timestamp": line.timestamp,
        "flow_run_id": line.flow_run_id,
        "task_run_id": line.task_run_id,
        "attempt": attempt if line.attempt is None else line.attempt,
        "position": line.position,
    }


def _cut(message: str) -> str:
    if "\0" in message:  # captured output may hold any byte, and PostgreSQL's texts may not hold this one
        message = message.replace("\0", "\ufffd")
    if len(message) * 4 <= MAX_BYTES:  # no character has more than four bytes
        return message
    encoded = message.encode(errors="replace")
    if len(encoded) <= MAX_BYTES:
        return message
    room = MAX_BYTES - len(_CUT.encode())
    return encoded[:room].decode(errors="ignore") + _CUT
