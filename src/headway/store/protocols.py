"""What services may ask of a store: one small role each, so that a service names what it needs.

Rows are dictionaries keyed by the wire's field names; times are UTC datetimes, ids are UUIDs. Every
method that writes returns after its transaction is durable. Methods raise headway.core.errors only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

Row = dict[str, Any]
Filters = Mapping[str, Any]


class Records(Protocol):
    """Reading and changing the rows of one resource."""

    async def get(self, id: UUID) -> Row | None: ...

    async def find(self, **where: Any) -> Row | None: ...

    async def page(
        self, filters: Filters, *, sort: str | None = None, limit: int | None = 200, offset: int = 0
    ) -> list[Row]: ...

    async def count(self, filters: Filters) -> int: ...

    async def update(self, id: UUID, values: Mapping[str, Any]) -> bool: ...

    async def delete(self, id: UUID) -> bool: ...


class Flows(Records, Protocol):
    """Flows, unique by name."""

    async def create(self, values: Row) -> tuple[Row, bool]:
        """The flow of that name and whether it is new; an existing one is returned unchanged."""
        ...


class WorkPools(Records, Protocol):
    """Work pools, unique by name, each made together with its default queue."""

    async def create(self, pool: Row, queue: Row) -> None:
        """Raises Conflict if the name is taken."""
        ...

    async def names(self) -> list[str]: ...

    async def active_slots(self, ids: Sequence[UUID]) -> dict[UUID, int]:
        """How many runs occupy each pool; pools without any are left out."""
        ...

    async def has_online_worker(self, id: UUID) -> bool: ...

    async def live_runs(self, id: UUID) -> list[tuple[UUID, str]]:
        """Every run of the pool that is not final, with its state type."""
        ...

    async def remove(self, id: UUID) -> int:
        """Delete the pool and what belongs to it, unless runs live: then how many do."""
        ...

    async def occupants(self, *, queue_ids: Sequence[UUID], limit: int, offset: int = 0) -> dict[UUID, list[Row]]:
        """The runs that occupy each queue, longest first, as FlowRunSlot fields."""
        ...

    async def learnt_template(self, type: str) -> dict[str, Any] | None:
        """The default template that a worker brought for a type without an installed driver."""
        ...

    async def learnt_templates(self) -> dict[str, dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Moved:
    """What went to queue `to` when its own was deleted."""

    runs: int
    deployments: int
    to: str


class WorkQueues(Records, Protocol):
    """Work queues, unique by pool and name, priorities unique in their pool."""

    async def of_pool(self, pool_id: UUID) -> list[Row]:
        """In the order they are served."""
        ...

    async def create(self, values: Row) -> Row:
        """`priority` may be None: the first free one. Raises Conflict if the name is taken."""
        ...

    async def change(self, id: UUID, values: Mapping[str, Any]) -> Row | None:
        """The row as it is then, None if there is none; other queues give way to a new priority."""
        ...

    async def remove(self, id: UUID) -> Moved | None:
        """Delete it; what waits there moves to the default queue. Raises Conflict for that one."""
        ...

    async def active_slots(self, ids: Sequence[UUID]) -> dict[UUID, int]: ...

    async def late_runs(self, id: UUID) -> int: ...


class Workers(Records, Protocol):
    """Workers, unique by pool and name. All methods raise NotFound for a pool that does not exist."""

    async def register(self, pool_name: str, values: Row, template: Row | None) -> tuple[Row, Row]:
        """The pool's row and the worker's, plus `served`: its queues. Raises WorkerTypeNotSupportedError,
        WorkerNameTakenError, or NotFound for a queue."""
        ...

    async def heartbeat(self, pool_name: str, values: Row, worker_id: UUID | None) -> None:
        """Upsert by name; `worker_id` refuses a live worker of the same name that is another one."""
        ...

    async def of_pool(self, pool_id: UUID, filters: Filters, limit: int, offset: int) -> list[Row]:
        """Those that pass a WorkerFilter (builtin form), last heard first."""
        ...

    async def offline(self, pool_name: str, name: str, now: datetime) -> None: ...

    async def remove(self, pool_name: str, name: str) -> None: ...
