"""The three ways to start a task run: call it, submit it, map it."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headway.core.errors import ParameterError
from headway.core.ids import new_id
from headway.core.states import StateType
from headway.sdk.context import FLOW, TAGS, TASK, FlowRunContext
from headway.sdk.effects import Engine, WaitFor, adrive, drive
from headway.sdk.futures import (
    SIMPLE,
    TaskFuture,
    TaskFutureList,
    UpstreamFailed,
    allow_failure,
    depends_on,
    resolve,
    unmapped,
    wait,
)
from headway.sdk.logs import CAPTURE
from headway.sdk.names import run_name
from headway.sdk.records import TaskRunInfo
from headway.sdk.session import Session
from headway.sdk.states import State
from headway.sdk.task_engine import TaskExecution, execute_blocking
from headway.sdk.task_runners import TaskCall, ThreadPoolTaskRunner

if TYPE_CHECKING:
    from headway.sdk.tasks import Task

__all__ = ["call_task", "map_task", "submit_task"]


def call_task(task: Task[Any, Any], arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
    """Run a task in the caller's thread, or return the coroutine that does."""
    given, wait_for, return_state = _split(named)
    parameters = task.parameters.bind(arguments, given)
    engine = _direct(task, parameters, wait_for, return_state)
    return adrive(engine) if task.is_async else drive(engine)


def _direct(task: Task[Any, Any], parameters: dict[str, Any], wait_for: list[Any], return_state: bool) -> Engine[Any]:
    flow = FLOW.get()
    outer = TASK.get()
    session: Any = flow.session if flow is not None else outer.session if outer is not None else None
    alone = session is None
    if alone:
        session = yield WaitFor(_open_session)
    try:
        info = new_task_run(task, parameters, wait_for, flow)
        state = yield from _record_direct(task, info, parameters, wait_for, session, flow)
    finally:
        if alone:
            yield WaitFor(lambda: _close_session(session))
    return state if return_state else state.result()


def _record_direct(
    task: Task[Any, Any],
    info: TaskRunInfo,
    parameters: dict[str, Any],
    wait_for: list[Any],
    session: Any,
    flow: FlowRunContext | None,
) -> Engine[State]:
    session.records.put(info.enter(State(StateType.PENDING)))
    if not wait_for and all(type(value) in SIMPLE for value in parameters.values()):
        return (yield from TaskExecution(task, info, parameters, session, flow).run())
    upstream = depends_on(wait_for, depends_on(list(parameters.values())))
    if any(not future.done() for future in upstream):
        yield WaitFor(lambda: wait(upstream))
    try:
        resolved = resolve(parameters)
        resolve(wait_for)
    except UpstreamFailed as error:
        return _not_ready(info, session, error)
    return (yield from TaskExecution(task, info, resolved, session, flow).run())


def _open_session() -> Session:
    session = Session()
    session.open()
    CAPTURE.start(level=session.settings.log_level, console=True)
    return session


def _close_session(session: Session) -> None:
    CAPTURE.stop()
    if not session.leave():
        session.close()


def submit_task(task: Task[Any, Any], arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
    """Start a task run in the flow's runner as soon as what it depends on has ended; its future.

    With `return_state=True` its final state, after waiting for it.
    """
    given, wait_for, return_state = _split(named)
    parameters = task.parameters.bind(arguments, given)
    future = _submit(task, parameters, wait_for)
    if return_state:
        future.wait()
        return future.state
    return future


def _submit(task: Task[Any, Any], parameters: dict[str, Any], wait_for: list[Any]) -> TaskFuture[Any]:
    flow = _flow_with_runner(task)
    info = new_task_run(task, parameters, wait_for, flow)
    flow.session.records.put(info.enter(State(StateType.PENDING)))
    future: TaskFuture[Any] = TaskFuture(info)
    flow.submitted.add(future)
    future.add_done_callback(flow.submitted.discard)
    launch = _Launch(task, info, parameters, wait_for, flow, future)
    upstream = {item for item in depends_on(wait_for, depends_on(list(parameters.values()))) if not item.done()}
    if not upstream:
        launch.go()
        return future
    launch.after(upstream)
    return future


def _flow_with_runner(task: Task[Any, Any]) -> FlowRunContext:
    flow = FLOW.get()
    if flow is None:
        raise ParameterError(
            f"{task.name}.submit() and .map() work inside a flow; outside of flows call {task.name}(...) itself."
        )
    if flow.runner is None:
        flow.runner = ThreadPoolTaskRunner(flow.settings.engine.task_workers)
        flow.runner.start()
    return flow


class _Launch:
    """A submitted task run on its way to the runner."""

    def __init__(
        self,
        task: Task[Any, Any],
        info: TaskRunInfo,
        parameters: dict[str, Any],
        wait_for: list[Any],
        flow: FlowRunContext,
        future: TaskFuture[Any],
    ) -> None:
        self.task, self.info, self.parameters, self.wait_for = task, info, parameters, wait_for
        self.flow, self.future = flow, future
        self.context = contextvars.copy_context()

    def after(self, upstream: set[TaskFuture[Any]]) -> None:
        left = len(upstream)
        lock = threading.Lock()

        def one_less(_: TaskFuture[Any]) -> None:
            nonlocal left
            with lock:
                left -= 1
                ready = left == 0
            if ready:  # by way of the loop, so that a long chain of failures is not a deep stack
                self.flow.session.portal.loop.call_soon_threadsafe(self.go)

        for future in upstream:
            future.add_done_callback(one_less)

    def go(self) -> None:
        try:
            resolved = resolve(self.parameters)
            resolve(self.wait_for)
        except UpstreamFailed as error:
            self.future.finish(_not_ready(self.info, self.flow.session, error))
            return
        session, flow, task, info = self.flow.session, self.flow, self.task, self.info
        call = TaskCall(
            task=task,
            info=info,
            parameters=resolved,
            session=session,
            flow=flow,
            context=self.context,
            execute=lambda: execute_blocking(task, info, resolved, session, flow),
        )
        runner = self.flow.runner
        assert runner is not None
        try:
            runner.run(call).add_done_callback(self._ended)
        except BaseException as error:
            self._crash(error)

    def _ended(self, outcome: Any) -> None:
        error = None if outcome.cancelled() else outcome.exception()
        if error is not None or outcome.cancelled():
            self._crash(error or RuntimeError("the task runner was stopped"))
        else:
            self.future.finish(outcome.result())

    def _crash(self, error: BaseException) -> None:
        """The runner could not bring the task run to an end: it is Crashed, unless the run knows better."""
        state = self.info.state
        if state is None or not state.is_final():
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            state = State(StateType.CRASHED, None, f"The task runner lost this task run: {text}", value=error)
            self.flow.session.records.put(self.info.enter(state))
        self.future.finish(state)


def map_task(task: Task[Any, Any], arguments: tuple[Any, ...], named: Mapping[str, Any]) -> TaskFutureList[Any]:
    """Submit one task run per element."""
    given, wait_for, _ = _split(named)
    parameters = task.parameters.bind(arguments, given)
    spread: dict[str, list[Any]] = {}
    for name, value in parameters.items():
        items = _elements(value)
        if items is not None:
            spread[name] = items
    if not spread:
        raise ParameterError(f"{task.name}.map() needs at least one iterable; none of its arguments is one.")
    lengths = {name: len(items) for name, items in spread.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ParameterError(f"{task.name}.map() needs iterables of one length; {shown}. Mark others with unmapped().")
    static = {name: _plain(value) for name, value in parameters.items() if name not in spread}
    count = next(iter(lengths.values()))
    futures: TaskFutureList[Any] = TaskFutureList()
    for index in range(count):
        own = {name: spread[name][index] if name in spread else static[name] for name in parameters}
        futures.append(_submit(task, own, wait_for))
    return futures


def _elements(value: Any) -> list[Any] | None:
    """What `map` spreads, or None for what goes to every run."""
    if isinstance(value, unmapped):
        return None
    if isinstance(value, allow_failure):
        inner = _elements(value.value)
        return None if inner is None else [allow_failure(item) for item in inner]
    if isinstance(value, TaskFuture):
        value.wait()
        return _elements(value.result()) if value.state.is_completed() else None
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__iter__"):
        return None
    return list(value)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, unmapped) else value


def _split(named: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any], bool]:
    """The function's own arguments, `wait_for` and `return_state`."""
    if not named:
        return {}, [], False
    given = dict(named)
    wait_for = given.pop("wait_for", None) or []
    return_state = bool(given.pop("return_state", False))
    return given, list(wait_for) if isinstance(wait_for, list | tuple | set) else [wait_for], return_state


def new_task_run(
    task: Task[Any, Any], parameters: dict[str, Any], wait_for: list[Any], flow: FlowRunContext | None
) -> TaskRunInfo:
    """The record of a task run that is about to begin."""
    id, tags = new_id(), task.tags | TAGS.get()
    number = flow.next_number(task.task_key) if flow is not None else 0
    tries = flow.run_count if flow is not None else 1
    default = f"{task.name}-{number}" if flow is not None else f"{task.name}-{id.hex[-4:]}"
    name = run_name(task.task_run_name, task.parameters, parameters, f"task {task.name!r}") or default
    return TaskRunInfo(
        id,
        name,
        task.task_key,
        (str(number) if tries <= 1 else f"{tries}-{number}") if flow is not None else id.hex,
        flow_run_id=flow.run.id if flow is not None else None,
        flow_run_count=tries if flow is not None else 0,
        tags=sorted(tags) if tags else [],
        task_inputs=inputs_of(parameters, wait_for),
        policy=task.policy,
        version=task.version,
    )


def inputs_of(parameters: Mapping[str, Any], wait_for: list[Any]) -> dict[str, Any]:
    """Which task runs the inputs come from, as the run graph draws it."""
    inputs: dict[str, Any] = {
        name: []
        if type(value) in SIMPLE
        else [{"input_type": "task_run", "id": future.task_run_id} for future in depends_on(value)]
        for name, value in parameters.items()
    }
    if wait_for:
        upstream = depends_on(wait_for)
        inputs["wait_for"] = [{"input_type": "task_run", "id": future.task_run_id} for future in upstream]
    return inputs


def _not_ready(info: TaskRunInfo, session: Any, error: UpstreamFailed) -> State:
    state = State(StateType.PENDING, "NotReady", str(error), value=error)
    session.records.put(info.enter(state))
    return state
