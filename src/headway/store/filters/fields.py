"""What can be filtered and sorted by: (resource, field) → column and kind, and how resources hang together.

A new filterable field is a new line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Table, exists, select

from headway.store.filters.operators import Field, Kind
from headway.store.tables import (
    deployment,
    flow,
    flow_run,
    flow_run_tally,
    live_run,
    log,
    started,
    task_run,
    work_pool,
    work_queue,
    worker,
)

__all__ = ["EDGES", "FIELDS", "LINKS", "REACH", "SCOPES", "SORTS", "Reach"]

SCOPES: Mapping[str, Table] = {
    "flows": flow,
    "flow_runs": flow_run,
    "task_runs": task_run,
    "deployments": deployment,
    "work_pools": work_pool,
    "work_pool_queues": work_queue,
    "work_queues": work_queue,
    "workers": worker,
    "logs": log,
}
"""The keys of a /filter body and what they filter."""


def value(column: ColumnElement[Any], *more: ColumnElement[Any], of: Table) -> Field:
    return Field(of, (column, *more))


def tags(table: Table) -> Field:
    return Field(table, (table.c.tags,), Kind.TAGS)


def plain(table: Table, *names: str) -> dict[str, Field]:
    """Fields that are columns of the same name."""
    return {name: value(table.c[name], of=table) for name in names}


_own = deployment.alias("own")
_named = flow.alias("named")
_parent = task_run.alias("parent")
_child = flow_run.alias("child")

_has_deployment = exists().where(_own.c.flow_id == flow.c.id).correlate(flow)
_has_subflow_run = exists().where(_child.c.parent_task_run_id == task_run.c.id).correlate(task_run)
_parent_flow_run_id = (
    select(_parent.c.flow_run_id)
    .where(_parent.c.id == flow_run.c.parent_task_run_id)
    .correlate(flow_run)
    .scalar_subquery()
)
_flow_of_live = (
    select(flow_run.c.flow_id).where(flow_run.c.id == live_run.c.flow_run_id).correlate(live_run).scalar_subquery()
)
_flow_name = select(_named.c.name).where(_named.c.id == deployment.c.flow_id).correlate(deployment).scalar_subquery()

Fields = Mapping[str, "Field | Fields"]


def _counted(table: Table) -> Fields:
    state = {"type": value(table.c.state_type, of=table), "name": value(table.c.state_name, of=table)}
    return {**plain(table, "deployment_id"), "state": state}


FIELDS: Mapping[Table, Fields] = {
    flow: {
        **plain(flow, "id", "name"),
        "tags": tags(flow),
        "deployment": Field(flow, (_has_deployment,), Kind.EXISTENCE),
    },
    flow_run: {
        **plain(flow_run, "id", "name", "deployment_id", "work_queue_name", "flow_version"),
        **plain(flow_run, "end_time", "expected_start_time", "next_scheduled_start_time"),
        "start_time": Field(flow_run, (flow_run.c.start_time,), indexed=started),
        **plain(flow_run, "parent_task_run_id", "idempotency_key"),
        "tags": tags(flow_run),
        "state": {
            "type": value(flow_run.c.state_type, of=flow_run),
            "name": value(flow_run.c.state_name, of=flow_run),
        },
        "parent_flow_run_id": value(_parent_flow_run_id, of=flow_run),
        "created_by": Field(flow_run, (flow_run.c.created_by,), Kind.CREATOR),
    },
    # The tables that counts of flow runs are read from know these of their fields (store/run_counts.py).
    flow_run_tally: _counted(flow_run_tally),
    live_run: _counted(live_run),
    task_run: {
        **plain(task_run, "id", "name", "start_time", "end_time", "expected_start_time", "flow_run_id"),
        "tags": tags(task_run),
        "state": {
            "type": value(task_run.c.state_type, of=task_run),
            "name": value(task_run.c.state_name, of=task_run),
        },
        "subflow_runs": Field(task_run, (_has_subflow_run,), Kind.EXISTENCE),
    },
    deployment: {
        **plain(deployment, "id", "name", "paused", "work_queue_name", "concurrency_limit"),
        "tags": tags(deployment),
        "flow_or_deployment_name": value(deployment.c.name, _flow_name, of=deployment),
    },
    work_pool: plain(work_pool, "id", "name", "type"),
    work_queue: plain(work_queue, "id", "name"),
    worker: plain(worker, "last_heartbeat_time", "status"),
    log: {
        **plain(log, "level", "timestamp", "flow_run_id", "task_run_id"),
        "text": value(log.c.message, log.c.name, of=log),
    },
}


LINKS: Mapping[tuple[Table, Table], ColumnElement[Any]] = {
    (deployment, flow): deployment.c.flow_id,
    (deployment, work_queue): deployment.c.work_queue_id,
    (deployment, work_pool): deployment.c.work_pool_id,
    (flow_run, flow): flow_run.c.flow_id,
    (flow_run, deployment): flow_run.c.deployment_id,
    (flow_run, work_queue): flow_run.c.work_queue_id,
    (flow_run, work_pool): flow_run.c.work_pool_id,
    (flow_run_tally, flow): flow_run_tally.c.flow_id,
    (flow_run_tally, deployment): flow_run_tally.c.deployment_id,
    (flow_run_tally, work_queue): flow_run_tally.c.work_queue_id,
    (flow_run_tally, work_pool): flow_run_tally.c.work_pool_id,
    (live_run, flow): _flow_of_live,
    (live_run, deployment): live_run.c.deployment_id,
    (live_run, work_queue): live_run.c.work_queue_id,
    (live_run, work_pool): live_run.c.work_pool_id,
    (task_run, flow_run): task_run.c.flow_run_id,
}
"""How tables hang together: (many, one) → what of the many names the id of the one."""

EDGES: Mapping[frozenset[Table], ColumnElement[bool]] = {
    frozenset(pair): column == pair[1].c.id for pair, column in LINKS.items()
}
"""How two tables are joined."""

Reach = Mapping[Table, "Reach"]

REACH: Mapping[Table, Reach] = {
    flow: {deployment: {work_pool: {}, work_queue: {}}, flow_run: {task_run: {}}},
    flow_run: {flow: {}, deployment: {}, work_pool: {}, work_queue: {}, task_run: {}},
    flow_run_tally: {flow: {}, deployment: {}, work_pool: {}, work_queue: {}},
    live_run: {flow: {}, deployment: {}, work_pool: {}, work_queue: {}},
    task_run: {flow_run: {flow: {}, deployment: {}, work_pool: {}, work_queue: {}}},
    deployment: {flow: {}, flow_run: {task_run: {}}, work_pool: {}, work_queue: {}},
}
"""Which tables a query on one table can be narrowed by, and through which: one nesting is one EXISTS.

So a flow passes {flow_runs, task_runs} if *one* run of it passes both, as in the reference.
"""


def _by_name_and_age(table: Table) -> dict[str, tuple[ColumnElement[Any], ...]]:
    return {
        "NAME_ASC": (table.c.name.asc(), table.c.id),
        "NAME_DESC": (table.c.name.desc(), table.c.id),
        "CREATED_DESC": (table.c.created.desc(), table.c.id),
        "UPDATED_DESC": (table.c.updated.desc(), table.c.id),
    }


def _by_time(table: Table) -> dict[str, tuple[ColumnElement[Any], ...]]:
    return {
        "ID_DESC": (table.c.id.desc(),),
        "EXPECTED_START_TIME_ASC": (table.c.expected_start_time.asc(), table.c.id),
        "EXPECTED_START_TIME_DESC": (table.c.expected_start_time.desc(), table.c.id.desc()),
        "NAME_ASC": (table.c.name.asc(), table.c.id),
        "NAME_DESC": (table.c.name.desc(), table.c.id.desc()),
        "NEXT_SCHEDULED_START_TIME_ASC": (table.c.next_scheduled_start_time.asc().nulls_last(), table.c.id),
        "END_TIME_DESC": (table.c.end_time.desc().nulls_last(), table.c.id.desc()),
    }


SORTS: Mapping[Table, Mapping[str, tuple[ColumnElement[Any], ...]]] = {
    flow: _by_name_and_age(flow),
    deployment: _by_name_and_age(deployment),
    flow_run: {
        **_by_time(flow_run),
        "START_TIME_ASC": (started.asc(), flow_run.c.id),
        "START_TIME_DESC": (started.desc(), flow_run.c.id.desc()),
    },
    task_run: _by_time(task_run),
    work_pool: {"NAME_ASC": (work_pool.c.name, work_pool.c.id)},
    work_queue: {"PRIORITY_ASC": (work_queue.c.priority, work_queue.c.name, work_queue.c.id)},
    worker: {"LAST_HEARTBEAT_TIME_DESC": (worker.c.last_heartbeat_time.desc(), worker.c.id)},
    log: {
        "TIMESTAMP_ASC": (log.c.timestamp, log.c.attempt, log.c.position, log.c.id),
        "TIMESTAMP_DESC": (
            log.c.timestamp.desc(),
            log.c.attempt.desc(),
            log.c.position.desc(),
            log.c.id.desc(),
        ),
    },
}
"""Table → sort name → order. The first is the default; ids settle ties, so that pages never overlap."""
