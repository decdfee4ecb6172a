"""What happens to one task run: cache, tries, time limit, states, hooks. A generator (see effects)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from headway.core.errors import HeadwayError
from headway.core.states import StateType
from headway.sdk import retries
from headway.sdk.cache_policies import CacheFacts
from headway.sdk.context import TASK, FlowRunContext, TaskRunContext
from headway.sdk.effects import Call, Engine, Sleep, adrive, drive
from headway.sdk.hook_calls import run_hooks
from headway.sdk.logs import RunLogger, task_logger, tell
from headway.sdk.records import TaskRunInfo
from headway.sdk.results import ResultStore, expires
from headway.sdk.states import State, from_exception
from headway.sdk.values import final_state

if TYPE_CHECKING:
    from headway.sdk.tasks import Task

__all__ = ["TaskExecution", "execute_blocking"]

HOOK_OF = {
    StateType.COMPLETED: "on_completion",
    StateType.CANCELLED: "on_cancellation",
    StateType.CRASHED: "on_crashed",
}


def execute_blocking(
    task: Task[Any, Any], info: TaskRunInfo, parameters: dict[str, Any], session: Any, flow: FlowRunContext | None
) -> State:
    """Run a task to its end on this thread, an async one on an event loop of its own."""
    engine = TaskExecution(task, info, parameters, session, flow).run()
    if task.is_async:
        return asyncio.run(adrive(engine))
    return drive(engine)


class TaskExecution:
    """One task run, from its parameters to its final state. `session` takes the records."""

    def __init__(
        self,
        task: Task[Any, Any],
        info: TaskRunInfo,
        parameters: dict[str, Any],
        session: Any,
        flow: FlowRunContext | None,
    ) -> None:
        self.task = task
        self.info = info
        self.parameters = parameters
        self.session = session
        self.flow = flow
        settings = session.settings
        inherited = flow.log_prints if flow is not None else settings.log_prints
        self.context = TaskRunContext(
            task=task,
            info=info,
            session=session,
            parameters=parameters,
            is_async=task.is_async,
            log_prints=inherited if task.log_prints is None else task.log_prints,
        )
        self.persist = settings.results.persist if task.persist_result is None else task.persist_result

    @property
    def log(self) -> RunLogger:
        return task_logger(self.context)

    def enter(self, state: State) -> None:
        if not self.info.abandoned:
            self.session.records.put(self.info.enter(state))

    def run(self) -> Engine[State]:
        """The final state. An interruption (not an Exception) is recorded as Crashed and raised on."""
        token = TASK.set(self.context)
        try:
            return (yield from self._run())
        finally:
            TASK.reset(token)

    def _run(self) -> Engine[State]:
        key = self._cache_key()
        if key is not None and not self.task.refresh_cache:
            cached = self._cached(key)
            if cached is not None:
                self.enter(cached)
                tell(self.context, f"Finished in state {cached!r}")
                yield from run_hooks(self.task.hooks("on_completion"), self.task, self.info, cached, self)
                return cached
        while True:
            state = yield from self._try(key)
            if not (yield from self._goes_again(state)):
                break
        self.enter(state)
        self._tell(state)
        hooks = self.task.hooks(HOOK_OF.get(state.type, "on_failure"))
        if hooks:
            yield from run_hooks(hooks, self.task, self.info, state, self)
        return state

    def _try(self, key: str | None) -> Engine[State]:
        """Run the function once; the state that makes."""
        name = "Running" if self.info.run_count == 0 else "Retrying"
        self.enter(State(StateType.RUNNING, name))
        hooks = self.task.hooks("on_running")
        if hooks:
            yield from run_hooks(hooks, self.task, self.info, self.info.state, self)
        try:
            values = self.parameters
            if self.task.validate_parameters:
                values = self.task.parameters.check(values, keep_equal=True)
            arguments, named = self.task.parameters.call(values)
            value = yield Call(self.task.fn, arguments, named, self.task.timeout_seconds)
            return self._completed(value, key)
        except Exception as error:
            return from_exception(error, "Task run encountered an exception")
        except BaseException as error:
            crashed = from_exception(error, "Task run was interrupted")
            self.enter(crashed)
            if not isinstance(error, GeneratorExit):
                yield from run_hooks(self.task.hooks("on_crashed"), self.task, self.info, crashed, self)
            raise

    def _completed(self, value: Any, key: str | None) -> State:
        state = final_state(value)
        state.details.setdefault("cache_key", key)
        if not state.is_completed() or not self.persist:
            return state
        expiration = expires(self.task.cache_expiration)
        kept = state.value if state.has_value else None
        data = self._store().write(key or self._storage_key(), kept, expiration)
        state.keep(kept, data)
        if key is not None:
            self.info.cache_key, self.info.cache_expiration = key, expiration
        return state

    def _goes_again(self, state: State) -> Engine[bool]:
        """Whether there is another try; if so its delay has passed."""
        retry = self.info.run_count
        if not (state.is_failed() and retry <= self.task.retries) or state.details.get("retriable") is False:
            return False
        if self.task.retry_condition_fn is not None:
            try:
                agreed = yield Call(self.task.retry_condition_fn, (self.task, self.info, state))
            except Exception as error:
                self.log.error("The retry condition raised %r; the task run is not retried.", error)
                return False
            if not agreed:
                return False
        delay = retries.delay_before(self.task.retry_delay, retry, self.task.retry_jitter_factor)
        self.log.info(
            "Task run failed: %s. Retry %d/%d will start %s",
            state.message,
            retry,
            self.task.retries,
            f"{delay:g} second(s) from now" if delay else "immediately",
        )
        if delay:
            due = datetime.now(UTC) + timedelta(seconds=delay)
            waiting = State(StateType.SCHEDULED, "AwaitingRetry", state.message, details={"scheduled_time": due})
            self.enter(waiting)
            yield Sleep(delay)
        return True

    def _cache_key(self) -> str | None:
        policy = self.task.policy_for(self.persist)
        if policy is None:
            return None
        flow = self.flow
        facts = CacheFacts(
            task=self.task,
            parameters=self.parameters,
            flow_run_id=None if flow is None else str(flow.run.id),
            task_run_id=str(self.info.id),
            flow_parameters={} if flow is None else flow.parameters,
        )
        try:
            return policy.key(facts)
        except HeadwayError as error:
            self.log.warning("This task run is not cached: %s", error)
            return None

    def _cached(self, key: str) -> State | None:
        try:
            found = self._store().find(key)
        except Exception as error:  # a cache that cannot be read is a cache without the key
            self.log.warning("The cache could not be read: %s", error)
            return None
        if found is None:
            return None
        self.info.cache_key = key
        return State(StateType.COMPLETED, "Cached", value=found.value, data=found.metadata, details={"cache_key": key})

    def _store(self) -> ResultStore:
        settings = self.session.settings
        flow = self.flow.results if self.flow is not None else None
        storage = self.task.result_storage or (flow.storage if flow else settings.results_storage)
        serializer = self.task.result_serializer or (flow.serializer if flow else settings.results.serializer)
        return ResultStore(storage, serializer)

    def _storage_key(self) -> str:
        if self.task.result_storage_key is None:
            return uuid4().hex
        return self.task.result_storage_key.format(
            parameters=self.parameters, task_run=self.info, flow_run=self._run_facts
        )

    @property
    def _run_facts(self) -> Any:
        return None if self.flow is None else self.flow.run

    def _tell(self, state: State) -> None:
        if state.is_completed():
            tell(self.context, f"Finished in state {state!r}")
        elif isinstance(state.value, Exception) and not isinstance(state.value, State | HeadwayError):
            self.log.error("Finished in state %r", state, exc_info=state.value)
        else:
            self.log.error("Finished in state %r", state)
