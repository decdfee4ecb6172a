"""A driver without infrastructure: jobs are entries in a dictionary that end as their configuration says.

Knobs (job variables of the pool or deployment): `sleep` seconds until the end, `exit_code`, `signal`, `oom`,
`refuse` (a message: the start fails, for good if `refuse_for_good`), `lines` of output, `lose_logs`.
What a job "does" can be given as a coroutine function, e.g. one that runs the engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

from headway.core.errors import DriverError, StartFailed
from headway.drivers.base import (
    Configuration,
    ConfigurationType,
    DriverContext,
    Handle,
    Job,
    LogLine,
    Outcome,
    mask_environment,
)

__all__ = ["Fake", "FakeDriver", "FakeInfrastructure"]

Key = tuple[UUID, int]


@dataclass(frozen=True, kw_only=True)
class Fake(Configuration):
    type: ClassVar[str] = "fake"

    sleep: float = 0.0
    exit_code: int = 0
    signal: int | None = None
    oom: bool = False
    refuse: str | None = None
    refuse_for_good: bool = False
    lines: list[str] = field(default_factory=list)
    lose_logs: bool = False


class FakeJob:
    """One job; `kill` ends it with a signal, as from outside."""

    def __init__(self, job: Job, handle: Handle, work: Callable[[Job], Awaitable[None]] | None) -> None:
        assert isinstance(job.configuration, Fake)
        self.job = job
        self.handle = handle
        self.knobs = job.configuration
        self.ended = asyncio.Event()
        self.outcome: Outcome | None = None
        self._task = asyncio.create_task(self._run(work))

    async def _run(self, work: Callable[[Job], Awaitable[None]] | None) -> None:
        if work is not None:
            await work(self.job)
        await asyncio.sleep(self.knobs.sleep)
        if self.knobs.oom:
            self.end(Outcome(signal=9, reason="oom", message="Fake job ran out of memory."))
        elif self.knobs.signal is not None:
            self.end(Outcome(signal=self.knobs.signal, reason="signal", message="Fake job was killed."))
        else:
            self.end(Outcome(exit_code=self.knobs.exit_code, message="Fake job ended."))

    def end(self, outcome: Outcome) -> None:
        if self.outcome is None:
            self.outcome = outcome
            self.ended.set()

    def kill(self, number: int) -> None:
        self._task.cancel()
        self.end(Outcome(signal=number, reason="signal", message=f"Fake job was killed by signal {number}."))


class FakeInfrastructure:
    """What outlives the driver, as a cluster would: hand the same one to the drivers of two workers."""

    def __init__(self, work: Callable[[Job], Awaitable[None]] | None = None) -> None:
        self.jobs: dict[Key, FakeJob] = {}
        self.started: list[Key] = []
        self.work = work


class FakeDriver:
    type: ClassVar[str] = "fake"
    description: ClassVar[str] = "Pretends to run things; for tests."
    Configuration: ClassVar[ConfigurationType] = Fake

    def __init__(self, context: DriverContext, infrastructure: FakeInfrastructure | None = None) -> None:
        self.context = context
        self.infrastructure = infrastructure or FakeInfrastructure()

    async def prepare(self) -> None:
        """There is nothing to get ready."""

    def preview(self, job: Job) -> str:
        lines = [f"Fake job {job.identity}", *(f"  {k}={v}" for k, v in mask_environment(job.env, job.secrets).items())]
        return "\n".join(lines)

    async def start(self, job: Job) -> Handle:
        key = (job.flow_run_id, job.attempt)
        known = self.infrastructure.jobs.get(key)
        if known is not None:
            return known.handle
        knobs = job.configuration
        assert isinstance(knobs, Fake)
        if knobs.refuse:
            raise StartFailed(knobs.refuse, not knobs.refuse_for_good)
        handle = Handle(
            type="fake",
            flow_run_id=job.flow_run_id,
            attempt=job.attempt,
            pid=f"fake:{job.identity}",
            data={"pool": job.pool},
        )
        self.infrastructure.started.append(key)
        self.infrastructure.jobs[key] = FakeJob(job, handle, self.infrastructure.work)
        return handle

    async def watch(self, handle: Handle) -> Outcome:
        job = self._job(handle)
        await job.ended.wait()
        return job.outcome or Outcome(reason="lost")

    async def stop(self, handle: Handle, grace: float) -> None:
        job = self.infrastructure.jobs.get((handle.flow_run_id, handle.attempt))
        if job is not None:
            job.kill(15)

    async def logs(self, handle: Handle, after: Mapping[str, int]) -> AsyncIterator[LogLine]:
        job = self._job(handle)
        await job.ended.wait()
        offset = 0
        for text in () if job.knobs.lose_logs else job.knobs.lines:
            end = offset + len(text.encode()) + 1
            if offset >= after.get("stdout", 0):
                yield LogLine("stdout", offset, end, text, datetime.now(UTC))
            offset = end

    async def locate(self, flow_run_id: UUID, attempt: int) -> Handle | None:
        job = self.infrastructure.jobs.get((flow_run_id, attempt))
        return job.handle if job else None

    async def find(self, pool: str) -> list[Handle]:
        jobs = self.infrastructure.jobs.values()
        return [job.handle for job in jobs if job.outcome is None and job.job.pool == pool]

    def reaches(self, handle: Handle) -> bool:
        return (handle.flow_run_id, handle.attempt) in self.infrastructure.jobs

    async def release(self, handle: Handle) -> None:
        self.infrastructure.jobs.pop((handle.flow_run_id, handle.attempt), None)

    async def close(self) -> None:
        """Jobs go on."""

    def _job(self, handle: Handle) -> FakeJob:
        try:
            return self.infrastructure.jobs[(handle.flow_run_id, handle.attempt)]
        except KeyError:
            raise DriverError(f"No fake job for {handle.pid}.") from None
