"""Pausing (the process waits), suspending (the process ends) and resuming flow runs, with typed input.

A pause has a key; its schema, description and response are inputs of the run named after state and key, as
the reference names them (CONTRACT §2.4, Pause), so that its UI and clients can answer.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from headway.client.client import Client
from headway.core.errors import CancelledRun, NotFound, PausedRun, RunError
from headway.core.states import StateType
from headway.sdk.context import TASK, FlowRunContext, MissingContext, flow_context
from headway.sdk.dispatch import run_engine, with_client
from headway.sdk.effects import Engine, Remote, Sleep
from headway.sdk.flow_engine import PauseRequested
from headway.sdk.proposals import propose
from headway.sdk.run_inputs import InputType
from headway.sdk.states import State

__all__ = ["pause_flow_run", "resume_flow_run", "suspend_flow_run"]

DEFAULT_TIMEOUT = 3600.0


def pause_flow_run(
    wait_for_input: Any = None, timeout: float = DEFAULT_TIMEOUT, poll_interval: float = 2.0, key: str | None = None
) -> Any:
    """Hold this flow until it is resumed, `timeout` seconds at most; the process stays.

    With `wait_for_input` (a type, a pydantic model or a RunInput) the typed answer is returned. Awaitable in
    async flows. Raises PausedRun if nobody resumed in time.
    """
    context = _flow("pause_flow_run")
    return run_engine(_pause(context, wait_for_input, timeout, poll_interval, key))


def suspend_flow_run(
    wait_for_input: Any = None,
    flow_run_id: UUID | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
    key: str | None = None,
) -> Any:
    """End this flow's process until it is resumed; the flow then starts from its beginning.

    The call that suspended it returns the typed answer then. Another run is suspended by `flow_run_id`.
    """
    if flow_run_id is not None and ((own := flow_context()) is None or own.run.id != flow_run_id):
        return with_client(lambda client: _suspend_other(client, flow_run_id, timeout))
    return run_engine(_suspend(_flow("suspend_flow_run"), wait_for_input, timeout, key))


def resume_flow_run(flow_run_id: UUID, run_input: Any = None) -> Any:
    """Let a paused or suspended run go on, with the input it waits for (a dict of fields, or the plain value).

    Raises RunError if the run is not paused, Invalid if the input does not fit.
    """
    return with_client(lambda client: _resume(client, flow_run_id, run_input))


async def _resume(client: Client, flow_run_id: UUID, run_input: Any) -> None:
    if run_input is not None and hasattr(run_input, "model_dump"):
        run_input = run_input.model_dump(mode="json")
    given = run_input if run_input is None or isinstance(run_input, dict) else {"value": run_input}
    result = await client.resume_flow_run(flow_run_id, given)
    if result.state is None or result.state.type is StateType.PAUSED:
        reason = getattr(result.details, "reason", None) or "it is not paused"
        raise RunError(f"Flow run {flow_run_id} could not be resumed: {reason}")


def _flow(caller: str) -> FlowRunContext:
    flow = flow_context()
    if flow is None:
        raise MissingContext(f"{caller}() works inside a flow only.")
    if TASK.get() is not None:
        raise MissingContext(f"{caller}() works in flows, not in tasks.")
    return flow


def _paused_state(name: str, key: str, timeout: float | None, wanted: InputType | None, *, leave: bool) -> State:
    details: dict[str, Any] = {"pause_key": key, "pause_reschedule": leave}
    if timeout is not None:
        details["pause_timeout"] = datetime.now(UTC) + timedelta(seconds=timeout)
    if wanted is not None:
        details["run_input_keyset"] = _keyset(name, key)
    return State(StateType.PAUSED, name, details=details)


def _keyset(name: str, key: str) -> dict[str, str]:
    base = f"{name.lower()}-{key}"
    return {part: f"{base}-{part}" for part in ("description", "response", "schema")}


def _pause(
    context: FlowRunContext, wait_for_input: Any, timeout: float, poll_interval: float, key: str | None
) -> Engine[Any]:
    wanted = None if wait_for_input is None else InputType(wait_for_input)
    key = key or str(next(context.pauses))
    state = _paused_state("Paused", key, timeout, wanted, leave=False)
    paused = yield from _enter(context, state, wanted)
    if paused.is_paused():
        yield from _until_running(context, timeout, poll_interval)
    return (yield from _answer(context, "Paused", key, wanted))


def _suspend(context: FlowRunContext, wait_for_input: Any, timeout: float | None, key: str | None) -> Engine[Any]:
    wanted = None if wait_for_input is None else InputType(wait_for_input)
    key = key or str(next(context.pauses))
    state = _paused_state("Suspended", key, timeout, wanted, leave=True)
    suspended = yield from _enter(context, state, wanted)
    if suspended.is_paused():
        raise PauseRequested(suspended)
    return (yield from _answer(context, "Suspended", key, wanted))


def _enter(context: FlowRunContext, state: State, wanted: InputType | None) -> Engine[State]:
    """Propose the pause; the run's state then. RUNNING means that this pause has happened already."""
    session = context.session
    moved = yield Remote(session.portal, propose(session, context.run.id, state))
    if moved.aborted is not None:
        raise RunError(f"The flow run cannot be {state.name.lower()}: {moved.aborted}")
    now: State = moved.state
    if now.is_paused() and wanted is not None:
        yield Remote(session.portal, _keep_inputs(context, state.details["run_input_keyset"], wanted))
    if not (now.is_paused() or now.is_running()):
        raise RunError(f"The flow run could not be {state.name.lower()}; it is {now.name}.")
    return now


async def _keep_inputs(context: FlowRunContext, keyset: dict[str, str], wanted: InputType) -> None:
    client = context.session.client
    await client.create_flow_run_input(context.run.id, keyset["schema"], wanted.schema())
    if wanted.description:
        await client.create_flow_run_input(context.run.id, keyset["description"], wanted.description)


def _until_running(context: FlowRunContext, timeout: float, poll_interval: float) -> Engine[None]:
    session, deadline = context.session, datetime.now(UTC) + timedelta(seconds=timeout)
    while True:
        yield Sleep(min(poll_interval, max(0.05, (deadline - datetime.now(UTC)).total_seconds())))
        run = yield Remote(session.portal, session.client.read_flow_run(context.run.id))
        if run.state_type is StateType.RUNNING:
            context.run = run
            return
        if run.state_type in (StateType.CANCELLING, StateType.CANCELLED):
            raise CancelledRun("The flow run was cancelled while it was paused.")
        if run.state_type is not StateType.PAUSED or datetime.now(UTC) >= deadline:
            raise PausedRun(f"The flow run was paused and never resumed within {timeout:g} second(s).")


def _answer(context: FlowRunContext, name: str, key: str, wanted: InputType | None) -> Engine[Any]:
    if wanted is None:
        return None
    response = _keyset(name, key)["response"]
    try:
        given = yield Remote(
            context.session.portal, context.session.client.read_flow_run_input(context.run.id, response)
        )
    except NotFound:
        given = {}
    return wanted.load(given)


async def _suspend_other(client: Client, flow_run_id: UUID, timeout: float | None) -> None:
    from headway.sdk.proposals import to_wire  # only this rare path needs it

    state = _paused_state("Suspended", f"outside-{datetime.now(UTC).isoformat()}", timeout, None, leave=True)
    result = await client.set_flow_run_state(flow_run_id, to_wire(state))
    if result.state is None or result.state.type is not StateType.PAUSED:
        reason = getattr(result.details, "reason", None) or "it is not running"
        raise RunError(f"Flow run {flow_run_id} could not be suspended: {reason}")
