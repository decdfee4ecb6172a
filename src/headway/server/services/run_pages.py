"""Flow runs from the store's raw rows to JSON, without becoming objects on the way.

A page of 200 runs is 8,000 values. Ids become text, times datetimes (msgspec writes them fastest), JSON columns go
out as they are stored; only what the wire completes with defaults (policy, state details, creator) is read. Called
on the store's reader threads, so that no page holds the event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from headway.core.states import TERMINAL
from headway.store.protocols import RawRun
from headway.wire.flow_runs import CreatedBy, FlowRun, FlowRunPolicy
from headway.wire.states import State, StateDetails

__all__ = ["encode_runs", "wire_runs"]

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


def wire_runs(rows: Sequence[RawRun], now: datetime) -> list[FlowRun]:
    """Values that encode as `FlowRun`s; ids are text and JSON is raw, so they are good for nothing else."""
    ids, json = _Ids(), _Parts()
    moment = (now - _EPOCH) // _MICROSECOND
    return [_run(row, ids, json, moment) for row in rows]


class _Ids(dict[Any, Any]):
    """Ids as text; those of flows, deployments, pools and queues come in every row."""

    def __missing__(self, id: Any) -> Any:
        if id is None or isinstance(id, UUID):
            return id
        text = self[id] = f"{id[:8]}-{id[8:12]}-{id[12:16]}-{id[16:20]}-{id[20:]}"
        return text


class _Parts(dict[str, msgspec.Raw]):
    """JSON text as it goes out; most runs of a page share most of theirs."""

    def __missing__(self, text: str) -> msgspec.Raw:
        raw = self[text] = msgspec.Raw(text.encode())
        return raw


def _time(micros: int | None) -> datetime | None:
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)


def _run(row: RawRun, ids: _Ids, json: _Parts, now: int) -> Any:
    (
        id, created, updated, name, flow_id, state_id, deployment_id, deployment_version, work_queue_id,
        work_queue_name, flow_version, parameters, idempotency_key, context, policy, tags, labels, parent, state_type,
        state_name, run_count, expected, next_start, started, ended, total, state_since, auto_scheduled, document, pid,
        created_by, pool_id, pool_name, job_variables, type_, state_label, timestamp, message, data, details, attempt,
    ) = row  # fmt: skip
    make: Any = FlowRun  # its fields hold what encodes the same, not what is declared
    return make(
        ids[id], _time(created), _time(updated), name, ids[flow_id], ids[state_id], ids[deployment_id],
        deployment_version, ids[work_queue_id], work_queue_name, flow_version, json[parameters], idempotency_key,
        json[context], _policy(policy), json[tags], json[labels], ids[parent], state_type, state_name, run_count,
        _time(expected), _time(next_start), _time(started), _time(ended), total,
        total + (max(0.0, (now - state_since) / 1e6) if state_type == "RUNNING" else 0.0),
        _lateness(expected, started, state_type, now), bool(auto_scheduled), ids[document], pid,
        None if created_by is None else _creator(created_by), ids[pool_id], pool_name,
        None if type_ is None else _state(ids[state_id], type_, state_label, timestamp, message, data, details, json),
        None if job_variables is None else json[job_variables], attempt,
    )  # fmt: skip


def _state(
    id: Any, type_: str, name: str, timestamp: int, message: str | None, data: str | None, details: str, json: _Parts
) -> Any:
    make: Any = State
    known = None if data is None else json[data]
    return make(id, type_, _time(timestamp), name, message, known, _details(details))


def _lateness(due: int | None, started: int | None, state_type: str | None, now: int) -> float:
    """Seconds, as `estimates.estimates` has them."""
    if due is None:
        return 0.0
    if started is None:
        if state_type in _FINAL:
            return 0.0
        started = now
    return max(0.0, (started - due) / 1e6)
