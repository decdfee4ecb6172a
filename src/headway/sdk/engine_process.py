"""One flow run that the control plane knows, executed in a process (or thread) of its own.

In order: the fence is taken out of the environment; RUNNING binds the attempt to this process (a second
process of the same attempt is refused here and exits); then the user's code is imported and run.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from headway.core.errors import AbortedTransition, FencedError, Gone, HeadwayError
from headway.core.profiles import load_settings
from headway.core.settings import Settings
from headway.core.states import StateType
from headway.sdk.effects import adrive, drive
from headway.sdk.ending import end_process, kill_descendants
from headway.sdk.entrypoints import load_flow
from headway.sdk.fence import Fence, Lease
from headway.sdk.flow_engine import FlowExecution
from headway.sdk.flows import Flow
from headway.sdk.links import Link
from headway.sdk.logs import CAPTURE, FLOW_LOGGER
from headway.sdk.proposals import propose_patiently
from headway.sdk.session import Session
from headway.sdk.states import State
from headway.wire.flow_runs import FlowRun, FlowRunUpdate
from headway.wire.workers import ClaimFacts

__all__ = ["EngineProcess", "Terminated"]

DONE, FAILED, NOT_OURS = 0, 1, 3
OVERRUN_SECONDS = 1.0

logger = logging.getLogger("headway.sdk")


class Terminated(BaseException):
    """SIGTERM: somebody wants this run to end. The engine finds out why and records it."""

    from_outside = True


class EngineProcess:
    """Executes one run. `whole_process`: this process exists for the run and may be ended with it."""

    def __init__(
        self,
        flow_run_id: UUID,
        settings: Settings,
        fence: Fence,
        *,
        whole_process: bool,
        flow: Flow[Any, Any] | None = None,
        facts: ClaimFacts | None = None,
    ) -> None:
        self.flow_run_id = flow_run_id
        self.session = Session(settings, headers=fence.headers, link=Link(settings))
        self.fence = fence
        self.whole_process = whole_process
        self._flow = flow
        self._facts = facts
        self._stopping = False

    @classmethod
    def of_this_process(
        cls, flow_run_id: UUID, flow: Flow[Any, Any] | None = None, settings: Settings | None = None
    ) -> EngineProcess:
        """`flow` is the run's, `settings` are this process's, if they are loaded already."""
        fence = Fence.take(os.environ)
        facts = _facts(os.environ.pop("HEADWAY_CLAIM_FILE", None), flow_run_id)
        return cls(flow_run_id, settings or load_settings(), fence, whole_process=True, flow=flow, facts=facts)

    @classmethod
    def inline(cls, flow_run_id: UUID, env: Mapping[str, str]) -> EngineProcess:
        own = dict(env)
        fence = Fence.take(own)
        return cls(flow_run_id, load_settings(own), fence, whole_process=False)

    def execute(self) -> int:
        """Run to the end; the exit code."""
        self.session.open()
        CAPTURE.start(level=self.session.settings.log_level, console=False)
        if self.whole_process:
            signal.signal(signal.SIGTERM, _terminate)
        lease = Lease(self.session, self.flow_run_id, self.fence, self._lost, self._cancelled)
        terminated = False
        try:
            return self._run(lease)
        except (FencedError, Gone) as error:
            sys.stderr.write(f"Flow run {self.flow_run_id} belongs to another process: {error}\n")
            return NOT_OURS
        except AbortedTransition as error:
            sys.stderr.write(f"Flow run {self.flow_run_id} was not started: {error}\n")
            return NOT_OURS
        except Terminated:
            terminated = True
            return FAILED
        finally:
            if self.whole_process:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the run has ended; what is left is to deliver
            CAPTURE.stop()
            self.session.close()
            lease.stop()
            if terminated:
                _die_by(signal.SIGTERM)

    def _run(self, lease: Lease) -> int:
        known = self._facts.flow_run if self._facts is not None else None
        running = State(StateType.RUNNING)
        started = self.session.call(propose_patiently(self.session, self.flow_run_id, running, known=known))
        if started.state is None or not started.state.is_running() or started.run is None:
            logger.info("Flow run %s is not to run now: %r", self.flow_run_id, started.state)
            return DONE
        lease.start()
        try:
            flow, parameters = self._load(started.run)
        except Exception as error:
            self._fail_to_start(started.run, error)
            return FAILED
        execution = FlowExecution(
            flow,
            started.run,
            self.session,
            parameters,
            lease=lease,
            started=started.state,
            on_overrun=self._overrun if self.whole_process else None,
        )
        engine = execution.run()
        state = asyncio.run(adrive(engine)) if flow.is_async else drive(engine)
        if self.whole_process and state.name == "TimedOut":
            self._leave(FAILED)
        return FAILED if state.is_failed() or state.is_crashed() else DONE

    def _load(self, run: FlowRun) -> tuple[Flow[Any, Any], dict[str, Any]]:
        if self._flow is not None:
            return self._flow, self._flow.parameters.from_names(run.parameters)
        name, path, entrypoint = self._place(run)
        if not entrypoint:
            raise HeadwayError(f"The deployment {name!r} has no entrypoint. Deploy the flow again.")
        here, there = Path.cwd(), Path(path) if path else None
        roots = [here] if there is None else [here, there] if self.whole_process else [there, here]
        flow = load_flow(entrypoint, list(dict.fromkeys(root.absolute() for root in roots)))
        return flow, flow.parameters.from_names(run.parameters)

    def _place(self, run: FlowRun) -> tuple[str | None, str | None, str | None]:
        """The deployment's name, path and entrypoint: where the flow is."""
        if run.deployment_id is None:
            raise HeadwayError("The run has no deployment, so there is no entrypoint to load its flow from.")
        known = self._facts
        if known is not None:
            return known.deployment_name, known.path, known.entrypoint
        deployment = self.session.call(self.session.client.read_deployment(run.deployment_id))
        return deployment.name, deployment.path, deployment.entrypoint

    def _fail_to_start(self, run: FlowRun, error: Exception) -> None:
        """The flow could not be loaded: FAILED, with the reason, and no retries, for they would end the same."""
        known = isinstance(error, HeadwayError)
        text = str(error) if known else f"The flow could not be imported: {type(error).__name__}: {error}"
        details = text if known else f"{text}\n{''.join(traceback.format_exception(error))}"
        extra = {"flow_run_id": run.id, "run_session": self.session}
        logging.getLogger(FLOW_LOGGER).error(details, extra=extra)
        client = self.session.client
        if run.empirical_policy.retries:
            run.empirical_policy.retries = 0
            self.session.call(client.update_flow_run(run.id, FlowRunUpdate(empirical_policy=run.empirical_policy)))
        self.session.call(propose_patiently(self.session, run.id, State(StateType.FAILED, None, text)))

    def _lost(self, reason: str) -> None:
        """Told 409 or 410: stop at once (DESIGN §3, Leases). On the session's thread."""
        if self.whole_process:
            sys.stderr.write(f"Flow run {self.flow_run_id} belongs to another process now; this one ends.\n")
            sys.stderr.flush()
            end_process(NOT_OURS)

    def _cancelled(self, flow_run_id: UUID) -> None:
        """Told with a renewal. A worker stops this process too, if one lives; nobody else may. On the session's
        thread."""
        if flow_run_id != self.flow_run_id:  # a flow inside this one
            self.session.interrupt(flow_run_id)
        elif self.whole_process and not self._stopping:
            self._stopping = True
            grace = threading.Timer(self.session.settings.worker.stop_grace_seconds, self._outstayed)
            grace.daemon = True
            grace.start()
            os.kill(os.getpid(), signal.SIGTERM)

    def _outstayed(self) -> None:
        """Cancelled, and user code does not give way. On a thread of its own."""
        with suppress(HeadwayError):
            state = State(StateType.CANCELLED, None, "The run was cancelled, and its process had to be ended.")
            self.session.call(propose_patiently(self.session, self.flow_run_id, state, 1.0))
        self._leave(FAILED)

    def _overrun(self, state: State) -> None:
        """The time limit has passed and user code does not give way. On a thread of its own."""
        try:
            self.session.call(propose_patiently(self.session, self.flow_run_id, state, 1.0))
            self.session.flush(0.5)
        except HeadwayError as error:
            sys.stderr.write(f"The time-out could not be recorded: {error}\n")
        self._leave(FAILED)

    def _leave(self, code: int) -> None:
        """End the process though threads of user code may be busy: deliver, then go."""
        self.session.flush(1.0)
        sys.stdout.flush()
        sys.stderr.flush()
        end_process(code)


def _facts(path: str | None, flow_run_id: UUID) -> ClaimFacts | None:
    """What the worker has handed over of its claim; None if nothing usable, then the server is asked."""
    if path is None:
        return None
    try:
        facts = msgspec.json.decode(Path(path).read_bytes(), type=ClaimFacts)
    except (OSError, msgspec.MsgspecError):
        return None
    return facts if facts.flow_run.id == flow_run_id else None


def _terminate(_number: int, _frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough; SIGKILL follows if it is not
    raise Terminated("SIGTERM")


def _die_by(number: signal.Signals) -> None:
    """End by the signal itself, so that the parent sees why."""
    kill_descendants()
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    threading.Event().wait(1.0)
    os._exit(128 + number)
