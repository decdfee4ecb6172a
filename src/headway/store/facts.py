"""Loading the facts of a batch: a few set-based statements, whatever the number of commands (DESIGN §3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, func, or_, select

from headway.core.rules.commands import Claim, Command, CreateRun, EndAttempt, Propose, ProposeTask
from headway.core.rules.facts import Attempt, Limit, LimitKind, Policy, Run, Slot, TaskRun, World
from headway.core.states import TERMINAL, State, StateType
from headway.store.tables import (
    attempt,
    deployment,
    flow_run,
    flow_run_state,
    live_run,
    slot,
    task_run,
    task_run_cache,
    task_run_state,
    work_pool,
    work_queue,
)

__all__ = ["load_facts", "load_runs", "state_of"]

_RECORD = (
    "id",
    "run_count",
    "expected_start_time",
    "next_scheduled_start_time",
    "start_time",
    "end_time",
    "total_run_time",
)
_RUN = ("flow_id", "deployment_id", "work_pool_id", "work_queue_id", "parent_task_run_id", "infrastructure_pid")
_STATE = ("id", "type", "name", "timestamp", "message", "data", "state_details")
_MAX_DEPTH = 32


def load_facts(connection: Connection, commands: Sequence[Command]) -> World:
    """Everything the rules may look at to decide `commands`, in order, in one transaction."""
    world = World()
    ids = {c.run_id for c in commands if isinstance(c, Propose | Claim | EndAttempt)}
    creations = [c for c in commands if isinstance(c, CreateRun)]
    _load_runs(connection, world, ids)
    _load_existing(connection, world, creations)
    _load_descendants(connection, world, {id for c in commands if (id := _whose_children(c)) is not None})
    _load_tasks(connection, world, commands)
    _load_parents(connection, world, creations)
    _load_attempts(connection, world)
    _load_limits(connection, world, [*world.runs.values(), *(c.run for c in creations)])
    return world


def load_runs(connection: Connection, ids: Iterable[UUID]) -> World:
    """The facts of some runs and their limits, without their kin: what a claim or an explanation needs."""
    world = World()
    _load_runs(connection, world, ids)
    _load_attempts(connection, world)
    _load_limits(connection, world, list(world.runs.values()))
    return world


def _whose_children(command: Command) -> UUID | None:
    """The run whose children a command may end too."""
    ends = (StateType.CANCELLED, StateType.CANCELLING, StateType.CRASHED)
    if isinstance(command, EndAttempt) or (isinstance(command, Propose) and command.state.type in ends):
        return command.run_id
    return None


def _columns(table: Table, names: Iterable[str], prefix: str = "") -> list[Any]:
    return [table.c[name].label(prefix + name) for name in names]


def _select_runs() -> Any:
    return (
        select(
            *_columns(flow_run, (*_RECORD, *_RUN, "empirical_policy", "root_flow_run_id", "idempotency_key")),
            *_columns(flow_run_state, _STATE, "state_"),
            live_run.c.retries_used,
            live_run.c.start_failures,
        )
        .outerjoin(flow_run_state, flow_run_state.c.id == flow_run.c.state_id)
        .outerjoin(live_run, live_run.c.flow_run_id == flow_run.c.id)
    )


def _add_runs(connection: Connection, world: World, statement: Any) -> list[Run]:
    found = []
    for row in connection.execute(statement).mappings():
        run = Run(
            **{name: row[name] for name in (*_RECORD, *_RUN)},
            state=state_of(row, "state_"),
            policy=Policy.of(row["empirical_policy"]),
            root_id=row["root_flow_run_id"],
            retries_used=row["retries_used"] or 0,
            start_failures=row["start_failures"] or 0,
        )
        world.runs[run.id] = run
        if row["idempotency_key"] is not None:
            world.keys[run.flow_id, row["idempotency_key"]] = run.id
        found.append(run)
    return found


def state_of(row: Any, prefix: str = "") -> State | None:
    """The state in a row whose columns are named `<prefix>id`, `<prefix>type`, …; None if there is none."""
    if row[f"{prefix}id"] is None:
        return None
    return State(
        id=row[f"{prefix}id"],
        type=StateType(row[f"{prefix}type"]),
        name=row[f"{prefix}name"],
        timestamp=row[f"{prefix}timestamp"],
        message=row[f"{prefix}message"],
        data=row[f"{prefix}data"],
        details=row[f"{prefix}state_details"] or {},
    )


def _load_runs(connection: Connection, world: World, ids: Iterable[UUID]) -> None:
    wanted = [id for id in ids if id not in world.runs]
    if not wanted:
        return
    found = _add_runs(connection, world, _select_runs().where(flow_run.c.id.in_(wanted)))
    parents = {run.parent_task_run_id for run in found if run.parent_task_run_id is not None}
    _add_tasks(connection, world, task_run.c.id.in_(parents) if parents else None)


def _load_existing(connection: Connection, world: World, creations: Sequence[CreateRun]) -> None:
    """Runs that a creation would make again: same id, or same flow and idempotency key."""
    if not creations:
        return
    same: list[Any] = [flow_run.c.id.in_([c.run.id for c in creations])]
    keys = {key for c in creations if (key := c.row.get("idempotency_key")) is not None}
    if keys:
        flows = {c.run.flow_id for c in creations}
        same.append(flow_run.c.flow_id.in_(flows) & flow_run.c.idempotency_key.in_(keys))
    _add_runs(connection, world, _select_runs().where(or_(*same)))


def _load_descendants(connection: Connection, world: World, ids: set[UUID]) -> None:
    """Unfinished task runs and flow runs below `ids`, level by level."""
    level = ids & world.runs.keys()
    for _ in range(_MAX_DEPTH):
        if not level:
            return
        _add_tasks(connection, world, task_run.c.flow_run_id.in_(level) & _unfinished(task_run))
        below = select(task_run.c.id).where(task_run.c.flow_run_id.in_(level))
        statement = _select_runs().where(flow_run.c.parent_task_run_id.in_(below), _unfinished(flow_run))
        children = _add_runs(connection, world, statement)
        parents = {run.parent_task_run_id for run in children} - world.tasks.keys()
        _add_tasks(connection, world, task_run.c.id.in_(parents) if parents else None)
        level = {run.id for run in children}


def _unfinished(table: Table) -> Any:
    return or_(table.c.state_type.is_(None), table.c.state_type.not_in(sorted(TERMINAL)))


def _load_tasks(connection: Connection, world: World, commands: Sequence[Command]) -> None:
    proposals = [c for c in commands if isinstance(c, ProposeTask)]
    if not proposals:
        return
    _add_tasks(connection, world, task_run.c.id.in_([c.task_run_id for c in proposals]))
    flows = {world.tasks[c.task_run_id].flow_run_id for c in proposals if c.task_run_id in world.tasks}
    _load_runs(connection, world, [id for id in flows if id is not None])
    keys = {str(key) for c in proposals if (key := c.state.details.get("cache_key"))}
    if not keys:
        return
    cached = (
        select(task_run_cache.c.cache_key, *_columns(task_run_state, _STATE, "state_"))
        .join(task_run_state, task_run_state.c.id == task_run_cache.c.task_run_state_id)
        .where(task_run_cache.c.cache_key.in_(keys))
    )
    for row in connection.execute(cached).mappings():
        state = state_of(row, "state_")
        if state is not None:
            world.cache[row["cache_key"]] = state


def _add_tasks(connection: Connection, world: World, where: Any) -> None:
    if where is None:
        return
    statement = (
        select(
            *_columns(task_run, (*_RECORD, "flow_run_id", "flow_run_run_count", "tags", "empirical_policy")),
            *_columns(task_run_state, _STATE, "state_"),
        )
        .outerjoin(task_run_state, task_run_state.c.id == task_run.c.state_id)
        .where(where)
    )
    for row in connection.execute(statement).mappings():
        world.tasks[row["id"]] = TaskRun(
            **{name: row[name] for name in _RECORD},
            state=state_of(row, "state_"),
            policy=Policy.of(row["empirical_policy"]),
            flow_run_id=row["flow_run_id"],
            flow_run_run_count=row["flow_run_run_count"],
            tags=tuple(row["tags"]),
        )


def _load_parents(connection: Connection, world: World, creations: Sequence[CreateRun]) -> None:
    """Parent task runs of new subflows, and the root whose attempt they share."""
    parents = {c.run.parent_task_run_id for c in creations if c.run.parent_task_run_id is not None}
    if not parents:
        return
    _add_tasks(connection, world, task_run.c.id.in_(parents))
    roots = (
        select(task_run.c.id, flow_run.c.id, flow_run.c.root_flow_run_id)
        .join(flow_run, flow_run.c.id == task_run.c.flow_run_id)
        .where(task_run.c.id.in_(parents))
    )
    for task_id, flow_run_id, root in connection.execute(roots):
        world.roots[task_id] = root or flow_run_id


def _load_attempts(connection: Connection, world: World) -> None:
    owners = {run.owner_id for run in world.runs.values()} | set(world.roots.values())
    if owners:
        newest_last = select(attempt).where(attempt.c.flow_run_id.in_(owners)).order_by(attempt.c.number)
        for row in connection.execute(newest_last).mappings():
            values = {key: value for key, value in row.items() if key != "flow_run_id"}
            world.attempts[row["flow_run_id"]] = Attempt(run_id=row["flow_run_id"], **values)
    if world.runs:
        for row in connection.execute(select(slot).where(slot.c.flow_run_id.in_(world.runs))).mappings():
            held = Slot(row["kind"], row["limit_id"], row["lease_id"], row["attempt"])
            world.slots[row["flow_run_id"]] = (*world.slots.get(row["flow_run_id"], ()), held)


def _load_limits(connection: Connection, world: World, runs: Sequence[Run]) -> None:
    wanted: dict[LimitKind, tuple[Table, set[UUID]]] = {
        "pool": (work_pool, {run.work_pool_id for run in runs if run.work_pool_id}),
        "queue": (work_queue, {run.work_queue_id for run in runs if run.work_queue_id}),
        "deployment": (deployment, {run.deployment_id for run in runs if run.deployment_id}),
    }
    ids = set().union(*(ids for _, ids in wanted.values()))
    if not ids:
        return
    used = {row[0]: row[1] for row in connection.execute(occupancy(ids))}
    for kind, (table, ids) in wanted.items():
        columns = [table.c.id, table.c.name, table.c.concurrency_limit]
        if kind == "deployment":
            columns.append(table.c.concurrency_options)
        for row in connection.execute(select(*columns).where(table.c.id.in_(ids))).mappings() if ids else ():
            options = row.get("concurrency_options") or {}
            world.limits[row["id"]] = Limit(
                kind=kind,
                id=row["id"],
                name=row["name"],
                limit=row["concurrency_limit"],
                used=used.get(row["id"], 0),
                cancel_new=options.get("collision_strategy") == "CANCEL_NEW",
            )
            if kind == "deployment":
                world.deployments.add(row["id"])


def occupancy(limit_ids: Iterable[UUID]) -> Any:
    """Select (limit id, slots taken): there are no counters, so none can drift."""
    return select(slot.c.limit_id, func.count()).where(slot.c.limit_id.in_(list(limit_ids))).group_by(slot.c.limit_id)
