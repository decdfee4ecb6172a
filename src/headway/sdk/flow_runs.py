"""Starting a flow run from code: a root run with a session of its own, or a subflow in its parent's."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headway.core.errors import Conflict, NotFound
from headway.core.ids import new_id
from headway.sdk.context import FLOW, TAGS, TASK, FlowRunContext
from headway.sdk.effects import Engine, Remote, WaitFor, adrive, drive
from headway.sdk.fence import Fence, Lease
from headway.sdk.flow_engine import FlowExecution
from headway.sdk.futures import depends_on, resolve, wait
from headway.sdk.interruption import Interruption
from headway.sdk.logs import CAPTURE
from headway.sdk.names import run_name
from headway.sdk.parameters import json_form
from headway.sdk.session import Session
from headway.sdk.states import State
from headway.sdk.task_runs import inputs_of
from headway.sdk.tracking import new_subflow_parent
from headway.wire.flow_runs import FlowRun, FlowRunCreate, FlowRunPolicy
from headway.wire.states import StateCreate, StateType

if TYPE_CHECKING:
    from headway.sdk.flows import Flow

__all__ = ["call_flow", "policy_of"]


def call_flow(flow: Flow[Any, Any], arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
    """Run a flow in the caller's thread, or return the coroutine that does."""
    given = dict(named)
    wait_for = list(given.pop("wait_for", None) or [])
    return_state = bool(given.pop("return_state", False))
    parameters = flow.parameters.bind(arguments, given)
    engine = _value_of(_begin(flow, parameters, wait_for), return_state)
    return adrive(engine) if flow.is_async else drive(engine)


def _value_of(engine: Engine[State], return_state: bool) -> Engine[Any]:
    state = yield from engine
    return state if return_state else state.result()


def _begin(flow: Flow[Any, Any], parameters: dict[str, Any], wait_for: list[Any]) -> Engine[State]:
    parent = FLOW.get()
    if parent is not None:
        return (yield from _subflow(flow, parameters, wait_for, parent))
    fence = Fence.unclaimed()
    session = Session(headers=fence.headers)
    return (yield from in_session(session, flow, lambda: _create(flow, parameters, session), fence, parameters))


def in_session(
    session: Session,
    flow: Flow[Any, Any],
    find_run: Callable[[], Coroutine[Any, Any, FlowRun]],
    fence: Fence,
    parameters: dict[str, Any],
) -> Engine[State]:
    """A root run from opening its session to the delivery of its last record."""
    if not session.is_open:
        yield WaitFor(session.open)
    CAPTURE.start(level=session.settings.log_level, console=True)
    try:
        run = yield Remote(session.portal, find_run())
        interruption = Interruption()
        lease = Lease(
            session,
            run.id,
            fence,
            on_lost=lambda reason: interruption.request(reason, lost=True),
            on_cancelling=session.interrupt,
        )
        try:
            execution = FlowExecution(flow, run, session, parameters, lease=lease, interruption=interruption)
            return (yield from execution.run())
        finally:
            lease.stop()
    finally:
        CAPTURE.stop()
        if not session.leave():
            yield WaitFor(session.close)


def _subflow(
    flow: Flow[Any, Any], parameters: dict[str, Any], wait_for: list[Any], parent: FlowRunContext
) -> Engine[State]:
    session = parent.session
    upstream = depends_on(wait_for, depends_on(list(parameters.values())))
    if upstream:
        yield WaitFor(lambda: wait(upstream))
    inputs = inputs_of(parameters, wait_for)
    resolved = resolve(parameters)
    resolve(wait_for)
    task_run = yield Remote(session.portal, new_subflow_parent(flow, parent, inputs))
    run = yield Remote(session.portal, _create(flow, resolved, session, parent_task_run_id=task_run.id))
    outer = TASK.set(None)
    try:
        return (yield from FlowExecution(flow, run, session, resolved, parent=parent).run())
    finally:
        TASK.reset(outer)


async def _create(
    flow: Flow[Any, Any], parameters: dict[str, Any], session: Session, parent_task_run_id: Any = None
) -> FlowRun:
    flow_ids = session.link.flow_ids
    known = flow_ids.get(flow.name)
    if known is not None:
        with suppress(NotFound, Conflict):  # it may be gone by now
            return await _create_of(known, flow, parameters, session, parent_task_run_id)
    flow_ids[flow.name] = (await session.client.create_flow(flow.name)).id
    return await _create_of(flow_ids[flow.name], flow, parameters, session, parent_task_run_id)


async def _create_of(
    flow_id: UUID, flow: Flow[Any, Any], parameters: dict[str, Any], session: Session, parent_task_run_id: Any
) -> FlowRun:
    return await session.client.create_flow_run(
        FlowRunCreate(
            flow_id=flow_id,
            name=_name(flow, parameters),
            state=StateCreate(type=StateType.PENDING, name="Pending"),
            flow_version=flow.version,
            parameters=json_form(parameters),
            tags=sorted(flow.tags | TAGS.get()),
            parent_task_run_id=parent_task_run_id,
            empirical_policy=policy_of(flow),
            idempotency_key=str(new_id()),
        )
    )


def _name(flow: Flow[Any, Any], parameters: dict[str, Any]) -> str | None:
    return run_name(flow.flow_run_name, flow.parameters, parameters, f"flow {flow.name!r}")


def policy_of(flow: Flow[Any, Any]) -> FlowRunPolicy:
    """The retries of a flow as its runs carry them; a list of delays starts with its first."""
    delay = flow.retry_delay[0] if isinstance(flow.retry_delay, list) and flow.retry_delay else flow.retry_delay
    first = 0.0 if isinstance(delay, list) else delay
    policy = FlowRunPolicy(retries=flow.retries, retry_delay=int(first) if first == int(first) else first)
    if flow.retry_on_crash is not None:
        policy.retry_on_crash = flow.retry_on_crash
    return policy
