"""Which runs a poll or a claim gets: one walk, which `explain` uses too.

The order is queue priority, then due time. A run is passed over, not waited for, when its pool, queue or deployment
is paused or full, so that nothing full ever blocks the rest. The walk looks at a page of what waits; where that is
not enough, it goes from deployment to deployment, so ten thousand runs behind one full deployment cost one step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from headway.store.hot import Hot, instant, moment

__all__ = ["Line", "Walk", "next_due", "next_runs"]

PAGE = 100
EVER = -(1 << 62)
Waiting = tuple[Any, ...]
"""flow_run_id, then pool, queue and deployment, then the room of each (None: unlimited), as the driver has them."""


@dataclass(frozen=True, slots=True)
class Line:
    """What is asked for: runs of some queues, or of some deployments, due from `after` to `before`."""

    before: datetime
    limit: int
    queue_ids: Sequence[UUID] | None = None
    deployment_ids: Sequence[UUID] | None = None
    after: datetime | None = None


def next_runs(connection: Connection, line: Line) -> list[UUID]:
    """Ids of the runs to hand out, best first, at most `line.limit`. Nothing is written or locked."""
    walk = Walk(connection, line.before, line.after)
    if line.queue_ids is not None:
        return walk.of_queues(line.queue_ids, line.limit)
    return walk.of_deployments(line.deployment_ids or (), line.limit)


class Walk:
    """Takes runs one by one, keeping in mind what earlier ones have used of each limit."""

    def __init__(self, connection: Connection, before: datetime, after: datetime | None = None) -> None:
        self._hot = Hot(connection)
        self._span = {"before": instant(before), "after": EVER if after is None else instant(after)}
        self._room: dict[Any, int] = {}
        self._taken: list[UUID] = []

    def of_queues(self, queue_ids: Sequence[UUID], limit: int) -> list[UUID]:
        """The next runs of these queues."""
        if limit <= 0 or not queue_ids:
            return []
        size = max(limit, PAGE)
        queues = self._hot.codec.ids(queue_ids)
        page = self._find("waiting_page", queues=queues, size=size)
        ends = {queue for queue, count in Counter(row[2] for row in page).items() if count == size}
        found = self._take(page, limit, ends)
        while len(found) < limit and ends:
            left = limit - len(found)
            before = (len(found), len(self._shut()))
            page = self._find("waiting_heads", queues=queues, size=left, shut=self._hot.codec.ids(self._shut()))
            found += self._take(page, left)
            if len(page) < left or before == (len(found), len(self._shut())):
                break
        return found

    def of_deployments(self, deployment_ids: Sequence[UUID], limit: int) -> list[UUID]:
        """The next runs of these deployments, in whatever queue."""
        if limit <= 0 or not deployment_ids:
            return []
        page = self._find("waiting_of_deployments", deployments=self._hot.codec.ids(deployment_ids), size=limit)
        return self._take(page, limit)

    def _find(self, statement: str, **more: Any) -> list[Waiting]:
        return self._hot.rows(statement, taken=self._hot.codec.ids(self._taken), **self._span, **more)

    def _take(self, page: Iterable[Waiting], limit: int, ends: Iterable[Any] = ()) -> list[UUID]:
        """Of a page in order; not beyond the last row of a queue in `ends`, after which more of it may wait."""
        page = list(page)
        last = {row[2]: at for at, row in enumerate(page) if row[2] in set(ends)}
        stop = min(last.values(), default=len(page))
        found: list[UUID] = []
        left, uuid = self._room, self._hot.codec.uuid
        for run, pool, queue, deployment, *rooms in page[: stop + 1]:
            limits = (pool, queue, deployment)
            for id, room in zip(limits, rooms, strict=True):
                if id is not None and room is not None:
                    left.setdefault(id, room)
            if left:
                counted = [id for id in limits if id in left]
                if any(left[id] <= 0 for id in counted):
                    continue
                for id in counted:
                    left[id] -= 1
            taken = uuid(run)
            assert taken is not None
            found.append(taken)
            if len(found) == limit:
                break
        self._taken += found
        return found

    def _shut(self) -> list[UUID]:
        """What has no room left, as far as was seen."""
        full = (self._hot.codec.uuid(id) for id, room in self._room.items() if room <= 0)
        return [id for id in full if id is not None]


def next_due(connection: Connection, queue_ids: Sequence[UUID], now: datetime) -> datetime | None:
    """When the next run of these queues falls due, after `now`."""
    hot = Hot(connection)
    return moment(hot.rows("next_due", queues=hot.codec.ids(queue_ids), now=instant(now))[0][0])
