"""Task runs: reading them with their state, and the few that are made over REST (parents of subflows, mostly)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from headway.core.errors import NotFound
from headway.store.database import Database
from headway.store.filters import Filters, select_page
from headway.store.records import Records, Row, add, one, rows
from headway.store.states import attach_states
from headway.store.tables import flow_run, task_run, task_run_state

__all__ = ["TaskRunStore"]


class TaskRunStore(Records):
    """`store.protocols.TaskRuns` in SQL."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, task_run)

    async def get(self, id: UUID) -> Row | None:
        found = await self.database.read(_page, select(task_run).where(task_run.c.id == id))
        return found[0] if found else None

    async def page(
        self, filters: Filters, *, sort: str | None = None, limit: int | None = 200, offset: int = 0
    ) -> list[Row]:
        return await self.database.read(_page, select_page(task_run, filters, sort=sort, limit=limit, offset=offset))

    async def create(self, values: Row, state: Row) -> tuple[Row, bool]:
        return await self.database.write(_create, values, state)


def _page(connection: Connection, statement: Any) -> list[Row]:
    found = rows(connection, statement)
    attach_states(connection, found, task_run_state)
    return found


def _create(connection: Connection, values: Row, state: Row) -> tuple[Row, bool]:
    key = {name: values[name] for name in ("flow_run_id", "task_key", "dynamic_key")}
    existing = one(connection, task_run, **key) or one(connection, task_run, id=values["id"])
    if existing is not None:
        attach_states(connection, [existing], task_run_state)
        return existing, False
    made = {**values, "labels": {**_inherited_labels(connection, values["flow_run_id"]), **values["labels"]}}
    add(connection, task_run, made)
    add(connection, task_run_state, {**state, "task_run_id": values["id"]})
    return {**made, "state": state}, True


def _inherited_labels(connection: Connection, flow_run_id: UUID | None) -> Row:
    """What a flow run hands down to its task runs (as the reference does)."""
    if flow_run_id is None:
        return {}
    parent = one(connection, flow_run, id=flow_run_id)
    if parent is None:
        raise NotFound(f"Flow run {flow_run_id} not found.")
    return {**parent["labels"], "prefect.flow-run.id": str(flow_run_id)}
