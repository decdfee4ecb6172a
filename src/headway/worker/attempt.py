"""One attempt in a worker's hands: start → report the handle → watch and ship output → report → release.

    starting ──► following ──► ended
       │             │
       └─ start failed, or it is not ours any more

`run` ends when everything is said and accepted. Cancelling its task lets go without a word: the process goes
on, and what the memory keeps lets the next incarnation of the worker continue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from headway.core.errors import DriverError, StartFailed
from headway.drivers.base import Driver, Handle, Job, Outcome
from headway.wire.states import StateType
from headway.wire.workers import AttemptEvent, AttemptRef, AttemptReport
from headway.worker.control_plane import ControlPlane
from headway.worker.delivery import until_accepted
from headway.worker.memory import AttemptRecord, Memory
from headway.worker.reporting import Reporter
from headway.worker.shipping import LogShipper

__all__ = ["Attempt", "Tools"]

OCCUPIED = frozenset({StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING})
"""The states in which a run's attempt is somebody's."""
logger = logging.getLogger("headway.worker")


@dataclass(frozen=True, slots=True)
class Tools:
    """What all attempts of a worker share. `say` prints a line on the worker's own output."""

    plane: ControlPlane
    driver: Driver
    memory: Memory
    say: Callable[[str], None]
    reporter: Reporter


class Attempt:
    """Made from a claim (`job` given) or from what is already somewhere (`job` None).

    `is_over` once its infrastructure has ended, though its report and output may still be on their way; `on_over` is
    called then.
    """

    def __init__(
        self,
        tools: Tools,
        record: AttemptRecord,
        job: Job | None = None,
        on_over: Callable[[], None] = lambda: None,
    ) -> None:
        self.is_over = False
        self._on_over = on_over
        self.record = record
        self._tools = tools
        self._job = job
        self._handle = Handle.from_json(record.handle) if record.handle else None
        self._stopping: asyncio.Task[None] | None = None
        self._losing: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._grace: float | None = None
        self._ours = True

    @property
    def ref(self) -> AttemptRef:
        record = self.record
        return AttemptRef(flow_run_id=record.flow_run_id, attempt=record.attempt, token=record.token)

    async def run(self) -> None:
        """Never raises for what a run or its infrastructure does."""
        self._task = asyncio.current_task()
        try:
            self._tools.memory.keep(self.record)
            handle = self._handle or await self._start()
            if handle is not None:
                await self._follow(handle)
            self._tools.memory.forget(self.record)
        except Exception:
            logger.exception("Attempt %d of flow run '%s' was let go of", self.record.attempt, self.record.name)

    def stop(self, grace: float, reason: str) -> None:
        """Ask the infrastructure to end; repeating it changes nothing."""
        if self._grace is None:
            logger.info("Stopping flow run '%s': %s", self.record.name, reason)
            self._grace = max(grace, self.record.grace_seconds)
            if self._handle is not None:
                self._stopping = asyncio.create_task(self._stop(self._handle, self._grace))

    def lose(self) -> None:
        """The control plane does not count this attempt as this worker's any more."""
        if self._losing is None:
            self._losing = asyncio.create_task(self._lose())

    async def _lose(self) -> None:
        """An attempt that another worker has adopted goes on there; one that has ended is stopped, unreported."""
        record = self.record
        run = await until_accepted(
            lambda: self._tools.plane.read_flow_run(record.flow_run_id), f"Asking for flow run '{record.name}'"
        )
        self._ours = False
        if run is not None and run.attempt == record.attempt and run.state_type in OCCUPIED:
            logger.warning("Flow run '%s' was adopted by another worker", record.name)
            self._tools.memory.forget(record)
            if self._task is not None:
                self._task.cancel()
        else:
            self.stop(record.grace_seconds, "its attempt has ended")

    async def _stop(self, handle: Handle, grace: float) -> None:
        try:
            await self._tools.driver.stop(handle, grace)
        except Exception as error:  # the end is what `watch` sees, not what was asked
            logger.error("Flow run '%s' could not be stopped: %s", self.record.name, error)

    # -- starting

    async def _start(self) -> Handle | None:
        driver, record = self._tools.driver, self.record
        handle = await driver.locate(record.flow_run_id, record.attempt)
        if handle is None:
            if self._job is None:
                await self._report(AttemptEvent.RELEASED, message="The worker ended before it started the run.")
                return None
            if not self._ours:
                return None
            if self._grace is not None:
                await self._report(AttemptEvent.ENDED, reason="stopped", message="Stopped before it was started.")
                return None
            handle = await self._start_job(self._job)
        if handle is None:
            return None
        self._handle = handle
        record.handle = handle.to_json()
        self._tools.memory.keep(record)
        logger.info("Flow run '%s' (attempt %d) started as %s", record.name, record.attempt, handle.pid)
        if self._grace is not None:
            self._stopping = asyncio.create_task(self._stop(handle, self._grace))
        return handle

    async def _start_job(self, job: Job) -> Handle | None:
        try:
            return await self._tools.driver.start(job)
        except StartFailed as error:
            failure = error
        except Exception as error:
            logger.exception("Driver '%s' broke while starting flow run '%s'", self._tools.driver.type, job.name)
            failure = StartFailed(f"{type(error).__name__}: {error}")
        logger.error("Flow run '%s' could not be started: %s", self.record.name, failure.message)
        await self.refuse(failure)
        return None

    async def refuse(self, failure: StartFailed) -> None:
        """Report that it could not be started."""
        await self._report(
            AttemptEvent.START_FAILED,
            reason="start_failed",
            message=failure.message,
            retryable=failure.retryable,
        )

    # -- following

    async def _follow(self, handle: Handle) -> None:
        record, driver = self.record, self._tools.driver
        shipper = LogShipper(
            self._tools.plane,
            record,
            lambda: self._tools.memory.keep(record),
            self._tools.say if record.echo else None,
        )
        shipping = asyncio.create_task(shipper.run(driver.logs(handle, dict(record.offsets))))
        started = asyncio.create_task(self._report(AttemptEvent.STARTED))
        try:
            outcome = await self._outcome(handle)
            if self._stopping is not None:  # everything of it is gone before anybody is told
                await self._stopping
            self.is_over = True
            self._on_over()
            started.cancel()  # if it is not on its way yet, the end says it too
            if self._ours:
                await self._report_end(outcome)
            await self._shipped(shipping)
            await driver.release(handle)
        finally:
            started.cancel()
            shipping.cancel()

    async def _outcome(self, handle: Handle) -> Outcome:
        try:
            return await self._tools.driver.watch(handle)
        except DriverError as error:
            return Outcome(reason="lost", message=error.message)

    async def _shipped(self, shipping: asyncio.Task[None]) -> None:
        try:
            await shipping
        except DriverError as error:
            logger.warning("Output of flow run '%s' is incomplete: %s", self.record.name, error.message)

    # -- reporting

    async def _report_end(self, outcome: Outcome) -> None:
        name = self.record.name
        level = logging.INFO if outcome.exit_code == 0 else logging.WARNING
        logger.log(level, "Flow run '%s' (attempt %d): %s", name, self.record.attempt, outcome.message)
        await self._report(
            AttemptEvent.ENDED,
            exit_code=outcome.exit_code,
            signal=outcome.signal,
            reason=outcome.reason,
            message=outcome.message,
        )

    async def _report(
        self,
        event: AttemptEvent,
        *,
        exit_code: int | None = None,
        signal: int | None = None,
        reason: str | None = None,
        message: str | None = None,
        retryable: bool = True,
    ) -> None:
        record = self.record
        report = AttemptReport(
            token=record.token,
            event=event,
            handle=record.handle,
            infrastructure_pid=self._handle.pid if self._handle else None,
            exit_code=exit_code,
            signal=signal,
            reason=reason,
            message=message,
            retryable=retryable,
        )
        await self._tools.reporter.deliver(record.name, record.flow_run_id, record.attempt, report)
