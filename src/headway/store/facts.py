"""Loading the facts of a batch: a few set-based statements, whatever the number of commands (DESIGN §3).

What every transition needs is read by hot statements; kin of runs, task runs and caches by SQLAlchemy Core.
A statement that no command of the batch needs is not run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Table, or_, select

from headway.core.rules.commands import Claim, Command, CreateRun, EndAttempt, Propose, ProposeTask
from headway.core.rules.facts import Attempt, Limit, Policy, Run, Slot, TaskRun, World
from headway.core.states import EMPTY, TERMINAL, State, StateType
from headway.store.hot import Codec, Hot, moment, unjson
from headway.store.locks import lock_batch, whose_children
from headway.store.origins import read_bases
from headway.store.remembered import recall
from headway.store.tables import flow_run, task_run, task_run_cache, task_run_state

__all__ = ["load_facts", "load_runs", "state_of", "whose_children"]

_RECORD = (
    "id",
    "run_count",
    "expected_start_time",
    "next_scheduled_start_time",
    "start_time",
    "end_time",
    "total_run_time",
)
_STATE = ("id", "type", "name", "timestamp", "message", "data", "state_details")
_MAX_DEPTH = 32


def load_facts(connection: Connection, commands: Sequence[Command]) -> World:
    """Everything the rules may look at to decide `commands`, in order, in one transaction."""
    lock_batch(connection, commands)
    world, hot = World(), Hot(connection)
    creations = [c for c in commands if isinstance(c, CreateRun)]
    ids = {c.run_id for c in commands if isinstance(c, Propose | Claim | EndAttempt)}
    known = recall(connection, world, ids)
    _load_runs(connection, hot, world, ids | _taken(hot, creations))
    _load_descendants(connection, hot, world, {id for c in commands if (id := whose_children(c)) is not None})
    _load_tasks(connection, hot, world, commands)
    _load_parents(connection, world, creations)
    _load_attempts(hot, world, known)
    _load_limits(hot, world, _limited(world, commands))
    _load_bases(hot, world, creations)
    return world


def load_runs(connection: Connection, ids: Iterable[UUID]) -> World:
    """The facts of some runs and their limits, without their kin: what a claim or an explanation needs."""
    world, hot = World(), Hot(connection)
    _load_runs(connection, hot, world, ids)
    _load_attempts(hot, world)
    _load_limits(hot, world, world.runs.values())
    return world


def _limited(world: World, commands: Sequence[Command]) -> Iterable[Run]:
    """The runs whose limits a rule of this batch looks at: those that start, or are said to be late."""
    asking = (StateType.PENDING, StateType.RUNNING)
    for command in commands:
        if isinstance(command, Claim) or (
            isinstance(command, Propose) and (command.late or command.state.type in asking)
        ):
            run = world.runs.get(command.run_id)
            if run is not None:
                yield run


def _columns(table: Table, names: Iterable[str], prefix: str = "") -> list[Any]:
    return [table.c[name].label(prefix + name) for name in names]


# --- flow runs ---


def _load_runs(connection: Connection, hot: Hot, world: World, ids: Iterable[UUID]) -> list[Run]:
    """Add those of the runs that exist and are not there yet, and the task runs that they stand for."""
    wanted = [id for id in ids if id not in world.runs]
    found = []
    for row in hot.rows("runs", ids=hot.codec.ids(wanted)) if wanted else ():
        run = _run_of(row, hot.codec)
        world.runs[run.id] = run
        if row[-1] is not None:
            world.keys[run.flow_id, row[-1]] = run.id
        found.append(run)
    parents = {run.parent_task_run_id for run in found if run.parent_task_run_id is not None} - world.tasks.keys()
    _add_tasks(connection, world, task_run.c.id.in_(parents) if parents else None)
    return found


def _run_of(row: tuple[Any, ...], codec: Codec) -> Run:
    """A row of runs.sql; its columns in that order."""
    (
        id, state_id, type, name, message, data, details, timestamp,
        run_count, expected, due, started, ended, total,
        policy, flow, deployment, pool, queue, parent, root, pid, retries_used, start_failures, _,
    ) = row  # fmt: skip
    uuid = codec.uuid
    state = None
    if type is not None:
        stated = unjson(details) or EMPTY
        state = State(StateType(type), name, message, unjson(data), stated, moment(timestamp), uuid(state_id))  # type: ignore[arg-type]
    return Run(
        uuid(id),  # type: ignore[arg-type]
        state,
        run_count,
        moment(expected),
        moment(due),
        moment(started),
        moment(ended),
        total,
        _policy(policy),
        uuid(flow),
        uuid(deployment),
        uuid(pool),
        uuid(queue),
        uuid(parent),
        uuid(root),
        pid,
        retries_used or 0,
        start_failures or 0,
    )


@lru_cache(maxsize=1024)
def _policy(text: str | None) -> Policy:
    return Policy.of(unjson(text))  # frozen, and nearly all runs have one of a few


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


def _taken(hot: Hot, creations: Sequence[CreateRun]) -> set[UUID]:
    """Ids that creations would use again, and runs that already have their flow and idempotency key."""
    ids = {c.run.id for c in creations}
    pairs = [[hot.codec.id(c.run.flow_id), key] for c in creations if (key := c.row.get("idempotency_key")) is not None]
    if pairs:
        found = hot.rows("runs_with_keys", pairs=msgspec.json.encode(pairs).decode())
        ids.update(id for row in found if (id := hot.codec.uuid(row[0])) is not None)
    return ids


def _load_bases(hot: Hot, world: World, creations: Sequence[CreateRun]) -> None:
    deployments = {c.run.deployment_id for c in creations if c.based_on is not None and c.run.deployment_id is not None}
    if deployments:
        world.bases.update(read_bases(hot, deployments))


# --- kin ---


def _load_descendants(connection: Connection, hot: Hot, world: World, ids: set[UUID]) -> None:
    """Unfinished task runs and flow runs below `ids`, level by level."""
    level = ids & world.runs.keys()
    for _ in range(_MAX_DEPTH):
        if not level:
            return
        _add_tasks(connection, world, task_run.c.flow_run_id.in_(level) & _unfinished(task_run))
        below = select(task_run.c.id).where(task_run.c.flow_run_id.in_(level))
        children = select(flow_run.c.id).where(flow_run.c.parent_task_run_id.in_(below), _unfinished(flow_run))
        level = {run.id for run in _load_runs(connection, hot, world, connection.execute(children).scalars().all())}


def _unfinished(table: Table) -> Any:
    return or_(table.c.state_type.is_(None), table.c.state_type.not_in(sorted(TERMINAL)))


def _load_tasks(connection: Connection, hot: Hot, world: World, commands: Sequence[Command]) -> None:
    proposals = [c for c in commands if isinstance(c, ProposeTask)]
    if not proposals:
        return
    _add_tasks(connection, world, task_run.c.id.in_([c.task_run_id for c in proposals]))
    flows = {world.tasks[c.task_run_id].flow_run_id for c in proposals if c.task_run_id in world.tasks}
    _load_runs(connection, hot, world, [id for id in flows if id is not None])
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


# --- attempts, slots, limits ---


def _load_attempts(hot: Hot, world: World, known: Collection[UUID] = ()) -> None:
    """The newest attempt and the slots of all runs but those that are `known` already."""
    owners = {run.owner_id for run in world.runs.values()} | set(world.roots.values())
    owners.difference_update(known)
    for row in hot.rows("attempts", ids=hot.codec.ids(owners)) if owners else ():  # the newest comes last, and stays
        one = _attempt_of(row, hot.codec)
        world.attempts[one.run_id] = one
    ids, uuid = [id for id in world.runs if id not in known], hot.codec.uuid
    for run, kind, limit, lease, number in hot.rows("slots", ids=hot.codec.ids(ids)) if ids else ():
        id = uuid(run)
        assert id is not None
        world.slots[id] = (*world.slots.get(id, ()), Slot(kind, uuid(limit), uuid(lease), number))  # type: ignore[arg-type]


def _attempt_of(row: tuple[Any, ...], codec: Codec) -> Attempt:
    """A row of attempts.sql; its columns in that order."""
    (
        run, number, token, opened, lease_end, nonce, claim, worker, worker_name,
        pool, handle, reported, started, ended, outcome, counts, renewed,
    ) = row  # fmt: skip
    uuid = codec.uuid
    return Attempt(
        run_id=uuid(run),  # type: ignore[arg-type]
        number=number,
        token=token,
        opened=moment(opened),  # type: ignore[arg-type]
        lease_end=moment(lease_end),  # type: ignore[arg-type]
        nonce=nonce,
        claim_id=uuid(claim),
        worker_id=uuid(worker),
        worker_name=worker_name,
        work_pool_id=uuid(pool),
        handle=unjson(handle),
        reported=moment(reported),
        started=moment(started),
        ended=moment(ended),
        outcome=unjson(outcome),
        counts=bool(counts),
        worker_renewed=moment(renewed),
    )


def _load_limits(hot: Hot, world: World, runs: Iterable[Run]) -> None:
    pools, queues, deployments = set(), set(), set()
    for run in runs:
        pools.add(run.work_pool_id)
        queues.add(run.work_queue_id)
        deployments.add(run.deployment_id)
    if not (pools | queues | deployments) - {None}:
        return
    codec = hot.codec
    found = hot.rows(
        "limits",
        pools=codec.ids([id for id in pools if id is not None]),
        queues=codec.ids([id for id in queues if id is not None]),
        deployments=codec.ids([id for id in deployments if id is not None]),
    )
    for kind, raw, name, limit, options, used in found:
        id = codec.uuid(raw)
        assert id is not None
        cancel_new = (unjson(options) or EMPTY).get("collision_strategy") == "CANCEL_NEW"
        world.limits[id] = Limit(kind=kind, id=id, name=name, limit=limit, used=used, cancel_new=cancel_new)
        if kind == "deployment":
            world.deployments.add(id)
