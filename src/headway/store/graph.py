"""What the graph of a flow run is drawn from: its task runs, the flow runs they stand for, its states."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, func, select

from headway.store.database import Database
from headway.store.records import Row, one, rows
from headway.store.tables import flow, flow_run, flow_run_state, task_run

__all__ = ["GraphStore"]

_TASK = ("id", "name", "state_type", "expected_start_time", "start_time", "end_time", "task_inputs")
_CHILD = ("id", "name", "state_type", "expected_start_time", "start_time", "end_time", "parent_task_run_id")


class GraphStore:
    """`store.protocols.Graphs` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def of_run(self, id: UUID, at_most: int) -> Row | None:
        return await self.database.read(_of_run, id, at_most)


def _of_run(connection: Connection, id: UUID, at_most: int) -> Row | None:
    run = one(connection, flow_run, id=id)
    if run is None:
        return None
    begun = func.coalesce(task_run.c.start_time, task_run.c.expected_start_time)
    tasks = (
        select(*(task_run.c[name] for name in _TASK))
        .where(task_run.c.flow_run_id == id)
        .order_by(begun, task_run.c.id)
        .limit(at_most)
    )
    children = (
        select(*(flow_run.c[name] for name in _CHILD), flow.c.name.label("flow_name"))
        .join(flow, flow.c.id == flow_run.c.flow_id)
        .join(task_run, task_run.c.id == flow_run.c.parent_task_run_id)
        .where(task_run.c.flow_run_id == id)
        .limit(at_most)
    )
    states = select(flow_run_state).where(flow_run_state.c.flow_run_id == id).order_by(flow_run_state.c.timestamp)
    return {
        "run": run,
        "task_runs": rows(connection, tasks),
        "children": rows(connection, children),
        "states": rows(connection, states),
    }
