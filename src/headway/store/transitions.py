"""Deciding and writing a batch of commands in one transaction: `load_facts`, decide in order, `apply`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, insert, update

from headway.core.errors import HeadwayError, NotFound
from headway.core.ids import new_id
from headway.core.rules.commands import Command, CreateRun, Decision, TaskChange
from headway.core.rules.decide import absorb, decide
from headway.core.rules.facts import Attempt, Facts, Run, Slot, TaskRun, Terms
from headway.core.states import State, StateType
from headway.store.database import Database
from headway.store.facts import load_facts, load_runs
from headway.store.hot import Hot, instant
from headway.store.records import add, drop, one
from headway.store.remembered import remember
from headway.store.tables import flow_run_input, task_run, task_run_cache, task_run_state
from headway.store.types import to_json

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
    remember(connection, world)
    return outcomes


def apply(connection: Connection, decisions: Iterable[Decision], now: datetime) -> None:
    """Write what was decided: the net effect per run, every state of the history."""
    flat = list(_flatten(decisions))
    writer = _Writer(Hot(connection), now)
    net = _net(flat)
    writer.runs(net, {d.created.run.id: d.created for d in flat if d.created is not None})
    writer.states(flat)
    writer.attempts(flat)
    writer.slots(net)
    writer.send()
    _write_tasks(connection, [change for decision in flat for change in decision.tasks], now)
    _drop_inputs(connection, flat)


def _flatten(decisions: Iterable[Decision]) -> Iterable[Decision]:
    for decision in decisions:
        yield decision
        if decision.followups:
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


class _Writer:
    """The hot tables of one batch. Rows are as the driver takes them."""

    def __init__(self, hot: Hot, now: datetime) -> None:
        self._hot = hot
        self._changes: dict[str, Sequence[Mapping[str, Any]]] = {}
        self._id = hot.codec.id
        self._now = instant(now)

    def send(self) -> None:
        """Write all that was gathered."""
        self._hot.write_all(self._changes)

    # --- flow runs ---

    def runs(self, net: Sequence[tuple[Facts, Facts]], created: Mapping[UUID, CreateRun]) -> None:
        added, changed, appeared, moved, gone = [], [], [], [], []
        for before, after in net:
            run, was = after.run, before.run
            creation = created.get(run.id)
            if creation is not None:
                added.append(self._new_run(creation, run))
            elif run is not was and run != was:
                changed.append(self._changed_run(run, was))
            existed = creation is None and _is_live(was)
            if not _is_live(run):
                if existed:
                    gone.append({"flow_run_id": self._id(run.id)})
            elif not existed:
                appeared.append(self._live(after))
            elif run is not was or after.attempt is not before.attempt:
                moved.append(self._live(after))
        self._changes["add_flow_run"] = added
        self._changes["change_flow_run"] = changed
        self._changes["drop_live_run"] = gone
        self._changes["add_live_run"] = appeared
        self._changes["change_live_run"] = moved

    def _new_run(self, creation: CreateRun, run: Run) -> dict[str, Any]:
        row, id = creation.row, self._id
        return {
            **{name: row.get(name) for name in _TEXTS},
            **{name: to_json(row.get(name) or {}) for name in _OBJECTS},
            **self._record(run),
            "tags": to_json(row.get("tags") or ()),
            "created_by": _json(row.get("created_by")),
            "auto_scheduled": row.get("auto_scheduled", False),
            "infrastructure_document_id": id(row.get("infrastructure_document_id")),
            "empirical_policy": to_json(run.policy.to_wire()),
            "created": self._now,
            "flow_id": id(run.flow_id),
            "deployment_id": id(run.deployment_id),
            "work_pool_id": id(run.work_pool_id),
            "work_queue_id": id(run.work_queue_id),
            "parent_task_run_id": id(run.parent_task_run_id),
            "root_flow_run_id": id(run.root_id),
        }

    def _changed_run(self, run: Run, was: Run) -> dict[str, Any]:
        changed = run.policy is not was.policy and run.policy != was.policy
        return {**self._record(run), "empirical_policy": to_json(run.policy.to_wire()) if changed else None}

    def _record(self, run: Run) -> dict[str, Any]:
        """The columns of a flow run that a state changes."""
        state = run.state
        return {
            "id": self._id(run.id),
            "state_id": None if state is None else self._id(state.id),
            "state_type": None if state is None else state.type.value,
            "state_name": None if state is None else state.name,
            "state_timestamp": None if state is None else instant(state.timestamp),
            "run_count": run.run_count,
            "expected_start_time": instant(run.expected_start_time),
            "next_scheduled_start_time": instant(run.next_scheduled_start_time),
            "start_time": instant(run.start_time),
            "end_time": instant(run.end_time),
            "total_run_time": run.total_run_time,
            "infrastructure_pid": run.infrastructure_pid,
            "updated": self._now,
        }

    def _live(self, facts: Facts) -> dict[str, Any]:
        run, state, id = facts.run, facts.run.state, self._id
        assert state is not None
        number = facts.live_attempt.number if facts.live_attempt is not None and run.root_id is None else None
        scheduled = state.type is StateType.SCHEDULED
        return {
            "flow_run_id": id(run.id),
            "state_type": state.type.value,
            "state_name": state.name,
            "work_pool_id": id(run.work_pool_id),
            "work_queue_id": id(run.work_queue_id),
            "deployment_id": id(run.deployment_id),
            "due": instant(_due(run, state)),
            "claimable": scheduled and not run.policy.in_process and number is None,
            "attempt": number,
            "state_since": instant(state.timestamp),
            "retries_used": run.retries_used,
            "start_failures": run.start_failures,
        }

    def states(self, decisions: Sequence[Decision]) -> None:
        rows = []
        for decision in decisions:
            if decision.after is None:
                continue
            attempt = decision.after.attempt or (decision.before.attempt if decision.before else None)
            number = None if attempt is None else attempt.number
            owner = self._id(decision.after.run.id)
            rows += [self._state(state, owner, number) for state in decision.written]
        self._changes["add_flow_run_state"] = rows

    def _state(self, state: State, owner: Any, number: int | None) -> dict[str, Any]:
        return {
            "id": self._id(state.id),
            "flow_run_id": owner,
            "type": state.type.value,
            "name": state.name,
            "timestamp": instant(state.timestamp),
            "message": state.message,
            "data": _json(state.data),
            "state_details": to_json(dict(state.details)),
            "attempt": number,
        }

    # --- attempts and slots ---

    def attempts(self, decisions: Sequence[Decision]) -> None:
        known: set[tuple[UUID, int]] = set()
        latest: dict[tuple[UUID, int], Attempt] = {}
        for decision in decisions:
            before = decision.before.attempt if decision.before else None
            after = decision.attempt
            if after is None or after is before or after == before:
                continue
            key = (after.run_id, after.number)
            if before is not None and key == (before.run_id, before.number) and key not in latest:
                known.add(key)
            latest[key] = after
        self._changes["change_attempt"] = [self._attempt(one) for key, one in latest.items() if key in known]
        self._changes["add_attempt"] = [self._attempt(one) for key, one in latest.items() if key not in known]

    def _attempt(self, one: Attempt) -> dict[str, Any]:
        id = self._id
        return {
            "flow_run_id": id(one.run_id),
            "number": one.number,
            "token": one.token,
            "nonce": one.nonce,
            "claim_id": id(one.claim_id),
            "worker_id": id(one.worker_id),
            "worker_name": one.worker_name,
            "work_pool_id": id(one.work_pool_id),
            "handle": _json(one.handle),
            "opened": instant(one.opened),
            "reported": instant(one.reported),
            "started": instant(one.started),
            "ended": instant(one.ended),
            "outcome": _json(one.outcome),
            "counts": one.counts,
            "lease_end": instant(one.lease_end),
            "worker_renewed": instant(one.worker_renewed),
        }

    def slots(self, net: Sequence[tuple[Facts, Facts]]) -> None:
        freed, taken, moved = [], [], []
        for before, after in net:
            if before.slots is after.slots or before.slots == after.slots:
                continue
            id = self._id(after.run.id)
            if not before.slots or not after.slots:  # nearly always: it takes what it needs, it gives all back
                freed += [self._slot(id, slot) for slot in before.slots]
                taken += [self._slot(id, slot) for slot in after.slots]
                continue
            held = {slot.limit_id: slot for slot in before.slots}
            kept = {slot.limit_id: slot for slot in after.slots}
            freed += [self._slot(id, held[limit]) for limit in held.keys() - kept.keys()]
            taken += [self._slot(id, kept[limit]) for limit in kept.keys() - held.keys()]
            moved += [self._slot(id, kept[limit]) for limit in kept.keys() & held.keys() if kept[limit] != held[limit]]
        self._changes["drop_slot"] = freed
        self._changes["add_slot"] = taken
        self._changes["change_slot"] = moved

    def _slot(self, run_id: Any, one: Slot) -> dict[str, Any]:
        return {
            "flow_run_id": run_id,
            "limit_id": self._id(one.limit_id),
            "kind": one.kind,
            "attempt": one.attempt,
            "lease_id": self._id(one.lease_id),
            "taken": self._now,
        }


_TEXTS = ("name", "deployment_version", "work_queue_name", "flow_version", "idempotency_key")
_OBJECTS = ("parameters", "context", "labels", "job_variables")


def _is_live(run: Run) -> bool:
    return run.state is not None and not run.state.is_final


def _due(run: Run, state: State) -> datetime | None:
    if state.type is StateType.SCHEDULED:
        return run.next_scheduled_start_time
    return state.pause_timeout if state.is_paused else None


def _json(value: Any) -> str | None:
    return None if value is None else to_json(value)


# --- task runs and inputs ---


def _write_tasks(connection: Connection, changes: Sequence[TaskChange], now: datetime) -> None:
    if not changes:
        return
    last = {change.after.id: change.after for change in changes}
    rows = [
        {"key": one.id, **_task_values(one), "flow_run_run_count": one.flow_run_run_count, "updated": now}
        for one in last.values()
    ]
    columns = [name for name in rows[0] if name != "key"]
    changed = update(task_run).where(task_run.c.id == bindparam("key"))
    connection.execute(changed.values({name: bindparam(name) for name in columns}), rows)
    states = [{"task_run_id": change.after.id, **change.state.to_row()} for change in changes]
    connection.execute(insert(task_run_state), states)
    for change in changes:
        key = change.state.details.get("cache_key")
        if key and change.state.is_completed and change.state.name != "Cached":
            _remember(connection, str(key), change.state, now)


def _task_values(task: TaskRun) -> dict[str, Any]:
    """The columns of a task run that a state changes."""
    state = task.state
    return {
        "state_id": None if state is None else state.id,
        "state_type": None if state is None else state.type.value,
        "state_name": None if state is None else state.name,
        "state_timestamp": None if state is None else state.timestamp,
        "run_count": task.run_count,
        "expected_start_time": task.expected_start_time,
        "next_scheduled_start_time": task.next_scheduled_start_time,
        "start_time": task.start_time,
        "end_time": task.end_time,
        "total_run_time": task.total_run_time,
    }


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
