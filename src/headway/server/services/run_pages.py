"""Flow runs from the store's raw rows to JSON, without becoming objects on the way.

A page of 200 runs is 8,000 values. Ids become text, times datetimes (msgspec writes them fastest), JSON columns go
out as they are stored; only what the wire completes with defaults (policy, state details, creator) is read. Called
on the store's reader threads, so that no page holds the event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from headway.core.states import TERMINAL
from headway.store.protocols import RawRun
from headway.wire.flow_runs import CreatedBy, FlowRun, FlowRunPolicy
from headway.wire.states import State, StateDetails
from headway.wire.work_pools import ScheduledRun

__all__ = ["encode_runs", "encode_scheduled", "wire_runs"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FINAL = frozenset(type.value for type in TERMINAL)
_encode = msgspec.json.Encoder().encode
_policy = msgspec.json.Decoder(FlowRunPolicy).decode
_creator = msgspec.json.Decoder(CreatedBy).decode
_details = msgspec.json.Decoder(StateDetails).decode


def encode_runs(rows: Sequence[RawRun], now: datetime) -> msgspec.Raw:
    """The runs as a JSON array of the wire's `FlowRun`."""
    return msgspec.Raw(_encode(wire_runs(rows, now)))


def encode_scheduled(rows: Sequence[RawRun], now: datetime) -> msgspec.Raw:
    """The runs of a poll as a JSON array of the wire's `ScheduledRun`; those without a queue are left out."""
    found = [run for run in wire_runs(rows, now) if run.work_pool_id is not None and run.work_queue_id is not None]
    make: Any = ScheduledRun
    return msgspec.Raw(_encode([make(run.work_pool_id, run.work_queue_id, run) for run in found]))


def wire_runs(rows: Sequence[RawRun], now: datetime) -> list[FlowRun]:
    """Values that encode as `FlowRun`s; ids are text and JSON is raw, so they are good for nothing else."""
    seen = _Seen(_Ids({None: None}), _Times({None: None}), _Json(), _Policies(), _Details())
    moment = (now - _EPOCH) // _MICROSECOND
    return [_run(row, seen, moment) for row in rows]


class _Ids(dict[Any, Any]):
    """Ids as text."""

    def __missing__(self, id: Any) -> Any:
        if isinstance(id, UUID):
            return id
        text = self[id] = f"{id[:8]}-{id[8:12]}-{id[12:16]}-{id[16:20]}-{id[20:]}"
        return text


class _Times(dict[int | None, Any]):
    def __missing__(self, micros: int | None) -> datetime:
        assert micros is not None
        time = self[micros] = _EPOCH + timedelta(0, 0, micros)
        return time


class _Json(dict[str, msgspec.Raw]):
    """JSON text as it goes out."""

    def __missing__(self, text: str) -> msgspec.Raw:
        raw = self[text] = msgspec.Raw(text.encode())
        return raw


class _Policies(dict[str, FlowRunPolicy]):
    def __missing__(self, text: str) -> FlowRunPolicy:
        policy = self[text] = _policy(text)
        return policy


class _Details(dict[str, StateDetails]):
    def __missing__(self, text: str) -> StateDetails:
        details = self[text] = _details(text)
        return details


class _Seen(NamedTuple):
    """What the rows of a page have in common: flows, deployments, times of one moment, most of their JSON."""

    ids: _Ids
    times: _Times
    json: _Json
    policies: _Policies
    details: _Details


def _run(row: RawRun, seen: _Seen, now: int) -> Any:
    (
        id, created, updated, name, flow_id, state_id, deployment_id, deployment_version, work_queue_id,
        work_queue_name, flow_version, parameters, idempotency_key, context, policy, tags, labels, parent, state_type,
        state_name, run_count, expected, next_start, started, ended, total, state_since, auto_scheduled, document, pid,
        created_by, pool_id, pool_name, job_variables, *state, attempt,
    ) = row  # fmt: skip
    ids, times, json, policies, _ = seen
    make: Any = FlowRun  # its fields hold what encodes the same, not what is declared
    return make(
        ids[id], times[created], times[updated], name, ids[flow_id], ids[state_id], ids[deployment_id],
        deployment_version, ids[work_queue_id], work_queue_name, flow_version, json[parameters], idempotency_key,
        json[context], policies[policy], json[tags], json[labels], ids[parent], state_type, state_name, run_count,
        times[expected], times[next_start], times[started], times[ended], total,
        total + (max(0.0, (now - state_since) / 1e6) if state_type == "RUNNING" else 0.0),
        _lateness(expected, started, state_type, now), bool(auto_scheduled), ids[document], pid,
        None if created_by is None else _creator(created_by), ids[pool_id], pool_name,
        None if state[0] is None else _state(ids[state_id], state, seen),
        None if job_variables is None else json[job_variables], attempt,
    )  # fmt: skip


def _state(id: Any, columns: Sequence[Any], seen: _Seen) -> Any:
    type, name, timestamp, message, data, details = columns
    make: Any = State
    known = None if data is None else seen.json[data]
    return make(id, type, seen.times[timestamp], name, message, known, seen.details[details])


def _lateness(due: int | None, started: int | None, state_type: str | None, now: int) -> float:
    """Seconds, as `estimates.estimates` has them."""
    if due is None:
        return 0.0
    if started is None:
        if state_type in _FINAL:
            return 0.0
        started = now
    return max(0.0, (started - due) / 1e6)
