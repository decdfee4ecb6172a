"""Deciding and writing a batch of commands in one transaction: `load_facts`, decide in order, `apply`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, bindparam, delete, insert, update

from headway.core.errors import HeadwayError, NotFound
from headway.core.ids import new_id
from headway.core.rules.commands import Command, Decision, TaskChange
from headway.core.rules.decide import absorb, decide
from headway.core.rules.facts import Attempt, Facts, Record, Run, Slot, Terms
from headway.core.states import State, StateType
from headway.store.database import Database
from headway.store.facts import load_facts, load_runs
from headway.store.records import add, drop, one
from headway.store.tables import (
    attempt,
    flow_run,
    flow_run_input,
    flow_run_state,
    live_run,
    slot,
    task_run,
    task_run_cache,
    task_run_state,
)

__all__ = ["TransitionStore", "apply", "decide_and_apply"]

Outcome = Decision | HeadwayError


class TransitionStore:
    """`store.protocols.Transitions` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def execute(self, commands: Sequence[Command], now: datetime, terms: Terms) -> list[Outcome]:
        return await self.database.write(decide_and_apply, commands, now, terms)

    async def paused_input(self, run_id: UUID) -> tuple[State | None, str | None]:
        return await self.database.read(_paused_input, run_id)

    async def answer_input(self, run_id: UUID, key: str, value: str, now: datetime) -> None:
        await self.database.write(_answer_input, run_id, key, value, now)


def decide_and_apply(connection: Connection, commands: Sequence[Command], now: datetime, terms: Terms) -> list[Outcome]:
    """One outcome per command, in order; a command that is refused with an error leaves no trace."""
    world = load_facts(connection, commands)
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            decision = decide(command, world, now, terms)
        except HeadwayError as error:
            outcomes.append(error)
        else:
            absorb(world, decision)
            outcomes.append(decision)
    apply(connection, [outcome for outcome in outcomes if isinstance(outcome, Decision)], now)
    return outcomes


def apply(connection: Connection, decisions: Iterable[Decision], now: datetime) -> None:
    """Write what was decided: the net effect per run, every state of the history."""
    flat = list(_flatten(decisions))
    _write_runs(connection, flat, now)
    _write_states(connection, flat)
    _write_attempts(connection, flat)
    _write_slots(connection, flat, now)
    _write_tasks(connection, [change for decision in flat for change in decision.tasks], now)
    _drop_inputs(connection, flat)


def _flatten(decisions: Iterable[Decision]) -> Iterable[Decision]:
    for decision in decisions:
        yield decision
        yield from _flatten(decision.followups)


def _net(decisions: Sequence[Decision]) -> list[tuple[Facts, Facts]]:
    """Per run, the facts before the batch and after it."""
    net: dict[UUID, tuple[Facts, Facts]] = {}
    for decision in decisions:
        if decision.before is None or decision.after is None:
            continue
        id = decision.after.run.id
        net[id] = (net[id][0] if id in net else decision.before, decision.after)
    return list(net.values())


# --- flow runs ---


def _write_runs(connection: Connection, decisions: Sequence[Decision], now: datetime) -> None:
    created = {d.created.run.id: d.created for d in decisions if d.created is not None}
    inserted, updated, lively, dead = [], [], [], []
    for before, after in _net(decisions):
        run = after.run
        values = {**_record_values(run), "infrastructure_pid": run.infrastructure_pid, "updated": now}
        if run.id in created:
            inserted.append({**created[run.id].row, **_creation_values(run, now), **values})
        elif run != before.run:
            updated.append({"key": run.id, **values})
        was = run.id not in created and _is_live(before.run)
        if was and not _is_live(run):
            dead.append(run.id)
        elif _is_live(run) and (run != before.run or after.attempt != before.attempt or not was):
            lively.append((was, _live_values(after)))
    if inserted:
        connection.execute(insert(flow_run), inserted)
    _update_many(connection, flow_run, {"id": "key"}, updated)
    if dead:
        connection.execute(delete(live_run).where(live_run.c.flow_run_id.in_(dead)))
    if new := [values for was, values in lively if not was]:
        connection.execute(insert(live_run), new)
    old = [{"key": values.pop("flow_run_id"), **values} for was, values in lively if was]
    _update_many(connection, live_run, {"flow_run_id": "key"}, old)


def _is_live(run: Run) -> bool:
    return run.state is not None and not run.state.is_final


def _record_values(record: Record) -> dict[str, Any]:
    """The columns of a flow run or task run that a state changes."""
    state = record.state
    return {
        "state_id": None if state is None else state.id,
        "state_type": None if state is None else state.type.value,
        "state_name": None if state is None else state.name,
        "state_timestamp": None if state is None else state.timestamp,
        "run_count": record.run_count,
        "expected_start_time": record.expected_start_time,
        "next_scheduled_start_time": record.next_scheduled_start_time,
        "start_time": record.start_time,
        "end_time": record.end_time,
        "total_run_time": record.total_run_time,
        **({"empirical_policy": record.policy.to_wire()} if isinstance(record, Run) else {}),
    }


def _creation_values(run: Run, now: datetime) -> dict[str, Any]:
    return {
        "id": run.id,
        "created": now,
        "flow_id": run.flow_id,
        "deployment_id": run.deployment_id,
        "work_pool_id": run.work_pool_id,
        "work_queue_id": run.work_queue_id,
        "parent_task_run_id": run.parent_task_run_id,
        "root_flow_run_id": run.root_id,
    }


def _live_values(facts: Facts) -> dict[str, Any]:
    run, state = facts.run, facts.run.state
    assert state is not None
    number = facts.live_attempt.number if facts.live_attempt is not None and run.root_id is None else None
    scheduled = state.type is StateType.SCHEDULED
    return {
        "flow_run_id": run.id,
        "state_type": state.type.value,
        "state_name": state.name,
        "work_pool_id": run.work_pool_id,
        "work_queue_id": run.work_queue_id,
        "deployment_id": run.deployment_id,
        "due": run.next_scheduled_start_time if scheduled else state.pause_timeout if state.is_paused else None,
        "claimable": scheduled and not run.policy.in_process and number is None,
        "attempt": number,
        "state_since": state.timestamp,
        "retries_used": run.retries_used,
        "start_failures": run.start_failures,
    }


def _write_states(connection: Connection, decisions: Sequence[Decision]) -> None:
    rows = []
    for decision in decisions:
        if decision.after is None:
            continue
        attempt = decision.after.attempt or (decision.before.attempt if decision.before else None)
        for state in decision.written:
            number = None if attempt is None else attempt.number
            rows.append({"flow_run_id": decision.after.run.id, "attempt": number, **state.to_row()})
    if rows:
        connection.execute(insert(flow_run_state), rows)


# --- attempts and slots ---


def _write_attempts(connection: Connection, decisions: Sequence[Decision]) -> None:
    known: set[tuple[UUID, int]] = set()
    latest: dict[tuple[UUID, int], Attempt] = {}
    for decision in decisions:
        before = decision.before.attempt if decision.before else None
        after = decision.attempt
        if after is None or after == before:
            continue
        key = (after.run_id, after.number)
        if before is not None and key == (before.run_id, before.number) and key not in latest:
            known.add(key)
        latest[key] = after
    changed = [
        {"key": id, "key_number": number, **_attempt_values(latest[id, number])}
        for id, number in latest
        if (id, number) in known
    ]
    _update_many(connection, attempt, {"flow_run_id": "key", "number": "key_number"}, changed)
    opened = [
        {"flow_run_id": id, "number": number, **_attempt_values(latest[id, number])}
        for id, number in latest
        if (id, number) not in known
    ]
    if opened:
        connection.execute(insert(attempt), opened)


def _attempt_values(one: Attempt) -> dict[str, Any]:
    names = (column.name for column in attempt.columns if column.name not in ("flow_run_id", "number"))
    return {name: getattr(one, name) for name in names}


def _write_slots(connection: Connection, decisions: Sequence[Decision], now: datetime) -> None:
    freed, taken, moved = [], [], []
    for before, after in _net(decisions):
        id = after.run.id
        held = {slot.limit_id: slot for slot in before.slots}
        kept = {slot.limit_id: slot for slot in after.slots}
        freed += [{"key_run": id, "key_limit": limit} for limit in held.keys() - kept.keys()]
        taken += [_slot_values(id, kept[limit], now) for limit in kept.keys() - held.keys()]
        moved += [
            {"key_run": id, "key_limit": limit, "attempt": kept[limit].attempt}
            for limit in kept.keys() & held.keys()
            if kept[limit] != held[limit]
        ]
    if freed:
        which = (slot.c.flow_run_id == bindparam("key_run")) & (slot.c.limit_id == bindparam("key_limit"))
        connection.execute(delete(slot).where(which), freed)
    if taken:
        connection.execute(insert(slot), taken)
    _update_many(connection, slot, {"flow_run_id": "key_run", "limit_id": "key_limit"}, moved)


def _slot_values(run_id: UUID, one: Slot, now: datetime) -> dict[str, Any]:
    return {
        "flow_run_id": run_id,
        "limit_id": one.limit_id,
        "kind": one.kind,
        "attempt": one.attempt,
        "lease_id": one.lease_id,
        "taken": now,
    }


# --- task runs and inputs ---


def _write_tasks(connection: Connection, changes: Sequence[TaskChange], now: datetime) -> None:
    if not changes:
        return
    last = {change.after.id: change.after for change in changes}
    rows = [
        {"key": one.id, **_record_values(one), "flow_run_run_count": one.flow_run_run_count, "updated": now}
        for one in last.values()
    ]
    _update_many(connection, task_run, {"id": "key"}, rows)
    states = [{"task_run_id": change.after.id, **change.state.to_row()} for change in changes]
    connection.execute(insert(task_run_state), states)
    for change in changes:
        key = change.state.details.get("cache_key")
        if key and change.state.is_completed and change.state.name != "Cached":
            _remember(connection, str(key), change.state, now)


def _remember(connection: Connection, key: str, state: State, now: datetime) -> None:
    connection.execute(delete(task_run_cache).where(task_run_cache.c.cache_key == key))
    connection.execute(insert(task_run_cache).values(cache_key=key, task_run_state_id=state.id, created=now))


def _drop_inputs(connection: Connection, decisions: Sequence[Decision]) -> None:
    for decision in decisions:
        if decision.dropped_inputs and decision.after is not None:
            mine = flow_run_input.c.flow_run_id == decision.after.run.id
            connection.execute(delete(flow_run_input).where(mine, flow_run_input.c.key.in_(decision.dropped_inputs)))


def _paused_input(connection: Connection, run_id: UUID) -> tuple[State | None, str | None]:
    run = load_runs(connection, [run_id]).runs.get(run_id)
    if run is None:
        raise NotFound(f"There is no flow run {run_id}.")
    keyset = {} if run.state is None else run.state.details.get("run_input_keyset") or {}
    if "schema" not in keyset:
        return run.state, None
    row = one(connection, flow_run_input, flow_run_id=run_id, key=keyset["schema"])
    return run.state, None if row is None else row["value"]


def _answer_input(connection: Connection, run_id: UUID, key: str, value: str, now: datetime) -> None:
    drop(connection, flow_run_input, flow_run_id=run_id, key=key)
    row = {"id": new_id(), "created": now, "updated": now, "flow_run_id": run_id, "key": key, "value": value}
    add(connection, flow_run_input, row)


def _update_many(
    connection: Connection, table: Table, keys: Mapping[str, str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """One UPDATE for many rows: `keys` maps key columns to the names their values have in `rows`."""
    if not rows:
        return
    statement = update(table)
    for column, name in keys.items():
        statement = statement.where(table.c[column] == bindparam(name))
    columns = [name for name in rows[0] if name not in keys.values()]
    connection.execute(statement.values({name: bindparam(name) for name in columns}), [dict(row) for row in rows])
