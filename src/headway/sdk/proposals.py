"""Proposing a state to the server and understanding the answer (CONTRACT §2, CONTRACT §2.1 rule 2)."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import msgspec

from headway.core.errors import (
    AbortedTransition,
    HeadwayError,
    MissingResult,
    ServerUnreachable,
    Unavailable,
    UnexpectedReply,
)
from headway.sdk.results import read_result
from headway.sdk.session import Session
from headway.sdk.states import NOTHING, State
from headway.wire import states as wire
from headway.wire.flow_runs import FlowRun

__all__ = ["Moved", "propose", "propose_patiently", "state_from_wire", "state_of"]

PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a proposal: the run's state now; or how long to wait; or why it was aborted."""

    state: State | None
    run: FlowRun | None = None
    wait_seconds: float | None = None
    aborted: str | None = None


async def propose(
    session: Session, flow_run_id: UUID, state: State, patience: float | None = None, known: FlowRun | None = None
) -> Moved:
    """Propose `state`, for `patience` seconds at most if the server is away (default: the setting).

    `known` is the run as it was claimed; then it need not be read again once it is running.
    Every repeat carries the same transition id, so that it is decided once.
    """
    limit = session.settings.engine.patience_seconds if patience is None else patience
    deadline = time.monotonic() + limit
    body = to_wire(state)
    while True:
        try:
            result = await session.client.set_flow_run_state(flow_run_id, body)
            break
        except HeadwayError as error:
            if not _passes(error) or time.monotonic() >= deadline:
                raise
        await asyncio.sleep(PAUSE_SECONDS)
    details = result.details
    if isinstance(details, wire.WaitDetails):
        return Moved(None, wait_seconds=float(details.delay_seconds))
    answered = None if result.state is None else state_from_wire(result.state, state)
    if isinstance(details, wire.AbortDetails):
        return Moved(answered, aborted=details.reason or "no reason given")
    run = None
    if answered is not None and answered.is_running():
        assert result.state is not None
        run = await session.client.read_flow_run(flow_run_id) if known is None else started(known, result.state)
    return Moved(answered, run)


def started(claimed: FlowRun, state: wire.State) -> FlowRun:
    """A claimed run once it has entered `state`, its first RUNNING of this attempt (CONTRACT §2.1)."""
    policy = claimed.empirical_policy
    return msgspec.structs.replace(
        claimed,
        state=state,
        state_id=state.id,
        state_type=state.type,
        state_name=state.name,
        start_time=claimed.start_time or state.timestamp,
        run_count=claimed.run_count + (0 if policy.resuming else 1),
        empirical_policy=msgspec.structs.replace(policy, resuming=False) if policy.resuming else policy,
    )


async def propose_patiently(
    session: Session, flow_run_id: UUID, state: State, patience: float | None = None, known: FlowRun | None = None
) -> Moved:
    """Propose until it is decided, waiting where the server asks to. Raises AbortedTransition."""
    while True:
        moved = await propose(session, flow_run_id, state, patience, known)
        if moved.wait_seconds is None:
            break
        await asyncio.sleep(moved.wait_seconds)
    if moved.aborted is not None:
        raise AbortedTransition(f"The server refused state {state.name}: {moved.aborted}")
    return moved


def to_wire(state: State) -> wire.StateCreate:
    details: dict[str, Any] = {**state.details, "transition_id": uuid4()}
    known = {name: value for name, value in details.items() if name in wire.StateDetails.__struct_fields__}
    return wire.StateCreate(
        type=state.type,
        name=state.name,
        message=state.message,
        data=state.data,
        state_details=msgspec.convert(known, wire.StateDetails),
    )


def state_from_wire(answered: wire.State, proposed: State | None = None) -> State:
    """The server's state; the proposed value stays with it if it is the proposed state."""
    same = proposed is not None and proposed.type == answered.type
    details = {
        name: value
        for name in answered.state_details.__struct_fields__
        if (value := getattr(answered.state_details, name)) is not None
    }
    return State(
        answered.type,
        answered.name,
        answered.message,
        value=proposed.value if same and proposed is not None else NOTHING,
        data=answered.data,
        details=details,
        id=answered.id,
        timestamp=answered.timestamp,
        reader=read_result,
    )


def state_of(run: FlowRun) -> State:
    """The state of a run that was read from the server; its `result()` reads what the run persisted."""
    if run.state is None:
        raise MissingResult(f"Flow run {run.name!r} has no state yet.")
    return state_from_wire(run.state)


def _passes(error: HeadwayError) -> bool:
    if isinstance(error, ServerUnreachable | Unavailable):
        return True
    return isinstance(error, UnexpectedReply) and error.status >= 500
