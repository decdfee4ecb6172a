"""What happens to one flow run: states proposed and answered, tries, time limit, hooks. A generator (see effects)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headway.core.errors import AbortedTransition, CancelledRun, HeadwayError
from headway.core.states import StateType
from headway.sdk import retries
from headway.sdk.context import FLOW, FlowRunContext
from headway.sdk.effects import Call, Engine, Remote, Sleep, WaitFor
from headway.sdk.fence import Lease
from headway.sdk.futures import wait
from headway.sdk.hook_calls import run_hooks
from headway.sdk.interruption import Interruption
from headway.sdk.logs import RunLogger, flow_logger
from headway.sdk.proposals import Moved, propose
from headway.sdk.results import ResultStore
from headway.sdk.session import Session
from headway.sdk.states import RunTimeout, State, from_exception
from headway.sdk.values import final_state, pending_futures
from headway.wire.flow_runs import FlowRun, FlowRunPolicy, FlowRunUpdate

if TYPE_CHECKING:
    from headway.sdk.flows import Flow

__all__ = ["FlowExecution", "PauseRequested"]

FLUSH_BEFORE_END = 5.0
HOOK_OF = {
    StateType.COMPLETED: "on_completion",
    StateType.FAILED: "on_failure",
    StateType.CRASHED: "on_crashed",
    StateType.CANCELLED: "on_cancellation",
    StateType.CANCELLING: "on_cancellation",
}


class PauseRequested(BaseException):
    """The run is suspended: its code ends here and starts anew when it is resumed."""

    def __init__(self, state: State) -> None:
        super().__init__(str(state))
        self.state = state


class FlowExecution:
    """One flow run in this process, from PENDING to its final state."""

    def __init__(
        self,
        flow: Flow[Any, Any],
        run: FlowRun,
        session: Session,
        parameters: dict[str, Any],
        *,
        parent: FlowRunContext | None = None,
        lease: Lease | None = None,
        started: State | None = None,
        on_overrun: Callable[[State], None] | None = None,
        interruption: Interruption | None = None,
    ) -> None:
        self.flow = flow
        self.already_started = started
        self.on_overrun = on_overrun
        self.interruption = interruption or Interruption()
        self.session = session
        self.lease = lease
        settings = session.settings
        inherited = parent.log_prints if parent is not None else settings.log_prints
        self.persist = settings.results.persist if flow.persist_result is None else flow.persist_result
        self.context = FlowRunContext(
            flow=flow,
            run=run,
            session=session,
            parameters=parameters,
            results=_result_store(flow, parent, session),
            is_async=flow.is_async,
            log_prints=inherited if flow.log_prints is None else flow.log_prints,
            parent=parent,
        )

    @property
    def log(self) -> RunLogger:
        return flow_logger(self.context)

    @property
    def run_facts(self) -> FlowRun:
        return self.context.run

    def run(self) -> Engine[State]:
        """The final state. An interruption (not an Exception) is recorded as Crashed and raised on."""
        token = FLOW.set(self.context)
        self.session.running[self.context.run.id] = self.interruption
        try:
            return (yield from self._run())
        finally:
            del self.session.running[self.context.run.id]
            FLOW.reset(token)

    def _run(self) -> Engine[State]:
        while True:
            started, self.already_started = self.already_started, None
            if started is None:
                started = yield from self._propose(State(StateType.RUNNING))
            if started.is_cancelling():
                return (yield from self._cancel())
            if not started.is_running():
                return started
            self._started(started)
            yield from run_hooks(self.flow.hooks("on_running"), self.flow, self.run_facts, started, self)
            ended = yield from self._try()
            if ended.is_paused() or self.interruption.lost or (self.interruption.reason and ended.is_cancelled()):
                return ended
            yield from self._prepare_retry(ended)
            # Whoever sees the final state finds the task runs and logs too.
            if self.context.parent is None and self.session.has_waiting:
                yield WaitFor(lambda: self.session.flush(FLUSH_BEFORE_END))
            answered = yield from self._propose(ended)
            if answered.is_cancelling():  # the code was at its end before it heard of it
                return (yield from self._cancel())
            if not answered.is_scheduled():
                return (yield from self._finish(answered))
            self.log.warning("Flow run failed: %s. Retry %s", ended.message, _when(answered))
            yield Sleep(_seconds_until(answered))

    def _started(self, state: State) -> None:
        if self.lease is not None:
            self.lease.start()
        self.context.run_count = max(self.context.run.run_count, self.context.run_count)
        self.context.counters.clear()

    def _try(self) -> Engine[State]:
        """Run the function once; the state that makes. Everything it submitted has ended afterwards."""
        self.context.runner = self.flow.new_runner()
        if self.context.runner is not None:
            self.context.runner.start()
        abandon, began = False, time.monotonic()
        try:
            values = self.context.parameters
            if self.flow.validate_parameters:
                values = self.context.parameters = self.flow.parameters.check(values)
            arguments, named = self.flow.parameters.call(values)
            with self._watched(), self.interruption.watched(is_async=self.flow.is_async):
                value = yield Call(self.flow.fn, arguments, named, self.flow.timeout_seconds)
            futures = pending_futures(value)
            if futures:
                yield WaitFor(lambda: wait(futures))
            return self._keep(final_state(value))
        except PauseRequested as suspended:
            return suspended.state
        except Exception as error:
            abandon = self._out_of_time(error, began)
            if abandon:
                self.interruption.kill_started()
            state = from_exception(error, "Flow run encountered an exception")
            self._tell(state)
            return state
        except BaseException as error:
            abandon = True
            yield from self._interrupted(error)
            if self.interruption.reason is not None:
                return from_exception(CancelledRun(self.interruption.reason), "")
            raise
        finally:
            runner, self.context.runner = self.context.runner, None
            if abandon:
                self._abandon()
            if runner is not None:
                yield WaitFor(lambda: runner.stop(abandon=abandon))

    def _out_of_time(self, error: Exception, began: float) -> bool:
        """Whether it is this flow's own limit that has passed, not one of a task or a library."""
        limit = self.flow.timeout_seconds
        return isinstance(error, RunTimeout) and limit is not None and time.monotonic() - began >= limit

    def _abandon(self) -> None:
        """Close the records of task runs that nobody waits for any more."""
        for future in list(self.context.submitted):
            record = future.abandon(State(StateType.CRASHED, None, "The flow run ended before this task run."))
            if record is not None:
                self.session.records.put(record)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Tell `on_overrun` when the time limit has passed and the code has not given way since."""
        limit, tell = self.flow.timeout_seconds, self.on_overrun
        if limit is None or tell is None:
            yield
            return
        error = RunTimeout(f"The run exceeded its time limit of {limit:g} second(s).")
        timer = threading.Timer(limit + 1.0, tell, [from_exception(error, "")])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _interrupted(self, error: BaseException) -> Engine[None]:
        """Record that something from outside ended the run; the exception goes on its way afterwards."""
        if isinstance(error, GeneratorExit):
            return
        crashed = from_exception(error, "Flow run was interrupted")
        try:
            yield from self._record_interruption(error, crashed)
        except HeadwayError as failure:
            self.log.error("The end of the run could not be recorded: %s", failure)

    def _record_interruption(self, error: BaseException, crashed: State) -> Engine[None]:
        """CANCELLED if a cancellation is behind it. Else CRASHED, which whoever sent a signal says himself."""
        if self.interruption.lost:
            return
        if (yield Remote(self.session.portal, self._is_cancelled())):
            yield from self._cancel()
            return
        self.log.error("Crash detected! %s", crashed.message)
        if getattr(error, "from_outside", False):
            yield from run_hooks(self.flow.hooks("on_crashed"), self.flow, self.run_facts, crashed, self)
            return
        yield from self._finish((yield from self._propose(crashed, patience=10.0)))

    async def _is_cancelled(self) -> bool:
        """Whether this run, or one that it runs inside of, is being cancelled."""
        context: FlowRunContext | None = self.context
        while context is not None:
            run = await self.session.client.read_flow_run(context.run.id)
            if run.state_type is StateType.CANCELLING:
                return True
            context = context.parent
        return False

    def _cancel(self) -> Engine[State]:
        """What was asked to stop has stopped."""
        state = State(StateType.CANCELLED, None, "The run was cancelled.")
        return (yield from self._finish((yield from self._propose(state, patience=5.0))))

    def _keep(self, state: State) -> State:
        if state.is_completed() and self.persist:
            value = state.value if state.has_value else None
            state.keep(value, self.context.results.write(f"{self.context.run.id}-{self.context.run_count}", value))
        return state

    def _finish(self, state: State) -> Engine[State]:
        self._report(state)
        kind = HOOK_OF.get(state.type)
        if kind is not None:
            yield from run_hooks(self.flow.hooks(kind), self.flow, self.run_facts, state, self)
        return state

    def _prepare_retry(self, ended: State) -> Engine[None]:
        """Tell the server of a delay that its policy cannot say, or that this failure is not to be retried."""
        policy = self.context.run.empirical_policy
        left = (policy.retries or 0) - self.context.run_count + 1
        if not ended.is_failed() or left <= 0:
            return
        wanted = ended.details.get("retriable") is not False
        if wanted and self.flow.retry_condition_fn is not None:
            wanted = bool((yield Call(self.flow.retry_condition_fn, (self.flow, self.context.run, ended))))
        number = self.context.run_count
        delay = retries.delay_before(self.flow.retry_delay, number, self.flow.retry_jitter_factor)
        if wanted and (delay == (policy.retry_delay or 0) or self.flow.retries == 0):
            return
        changed = {"retries": policy.retries if wanted else 0, "retry_delay": retries.wire_delay(delay)}
        yield Remote(self.session.portal, self._change_policy(changed))

    async def _change_policy(self, changed: dict[str, Any]) -> None:
        client, run_id = self.session.client, self.context.run.id
        current = (await client.read_flow_run(run_id)).empirical_policy
        policy = FlowRunPolicy(**{name: getattr(current, name) for name in current.__struct_fields__} | changed)
        await client.update_flow_run(run_id, FlowRunUpdate(empirical_policy=policy))
        self.context.run.empirical_policy = policy

    def _propose(self, state: State, patience: float | None = None) -> Engine[State]:
        """Propose a state until the server has decided; the state the run is in then."""
        if self.lease is None or not state.is_final():
            return (yield from self._decided(state, patience))
        self.lease.ends = True
        try:
            answered = yield from self._decided(state, patience)
            self.lease.ends = answered.is_final()
            return answered
        except HeadwayError:
            self.lease.ends = False
            raise

    def _decided(self, state: State, patience: float | None) -> Engine[State]:
        while True:
            moved: Moved = yield Remote(self.session.portal, self._asked(state, patience))
            if moved.run is not None:
                self.context.run = moved.run
            if moved.wait_seconds is None:
                break
            self.log.info("The server asks to wait %d second(s) before %s.", moved.wait_seconds, state.name)
            yield Sleep(moved.wait_seconds)
        if moved.aborted is not None:
            if moved.state is not None and moved.state.is_final():
                return moved.state
            raise AbortedTransition(f"The server refused state {state.name}: {moved.aborted}")
        assert moved.state is not None
        return moved.state

    def _asked(self, state: State, patience: float | None) -> Coroutine[Any, Any, Moved]:
        return propose(self.session, self.context.run.id, state, patience, self.context.run)

    def _report(self, state: State) -> None:
        level = logging.INFO if state.is_completed() else logging.ERROR
        self.log.log(level, "Finished in state %r", state)

    def _tell(self, state: State) -> None:
        error = state.value if state.has_value else None
        if isinstance(error, Exception) and not isinstance(error, State | HeadwayError):
            self.log.error("Encountered exception during execution: %r", error, exc_info=error)


def _result_store(flow: Flow[Any, Any], parent: FlowRunContext | None, session: Session) -> ResultStore:
    settings = session.settings
    inherited = parent.results if parent is not None else None
    storage = flow.result_storage or (inherited.storage if inherited else settings.results_storage)
    serializer = flow.result_serializer or (inherited.serializer if inherited else settings.results.serializer)
    return ResultStore(storage, serializer)


def _seconds_until(state: State) -> float:
    due = state.details.get("scheduled_time")
    return (due - datetime.now(UTC)).total_seconds() if isinstance(due, datetime) else 0.0


def _when(state: State) -> str:
    seconds = _seconds_until(state)
    return f"will start {seconds:.0f} second(s) from now." if seconds > 0 else "will start immediately."
