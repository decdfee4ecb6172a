"""A control plane in memory, for tests of the worker loop alone: hands out what a test puts in, keeps what it
is told, can be away, and knows nothing of states."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from headway.core.errors import HeadwayError, NotFound, ServerUnreachable
from headway.wire.flow_runs import FlowRun
from headway.wire.flows import Flow
from headway.wire.logs import LogCreate
from headway.wire.work_pools import WorkPool
from headway.wire.workers import (
    Adoption,
    AttemptReport,
    AttemptReportOf,
    AttemptReportReply,
    AttemptReportResult,
    Claim,
    ClaimReply,
    ClaimRequest,
    LostAttempt,
    RenewReply,
    RenewRequest,
    StopOrder,
    WorkerHeartbeat,
    WorkerRegister,
    WorkerRegistered,
)

__all__ = ["ScriptedControlPlane"]


class ScriptedControlPlane:
    """Fields are what happened; methods without `async` are the test's. `away` makes every call fail."""

    url = "scripted"

    def __init__(self, pool: str = "p") -> None:
        self.pool = pool
        self.away = False
        self.refusal: HeadwayError | None = None
        self.waiting: list[Claim] = []
        self.claims: list[ClaimRequest] = []
        self.answered: dict[UUID, ClaimReply] = {}
        self.reports: list[tuple[UUID, int, AttemptReport]] = []
        self.logs: dict[UUID, LogCreate] = {}
        self.log_calls = 0
        self.renewals: list[RenewRequest] = []
        self.heartbeats: list[WorkerHeartbeat] = []
        self.registrations: list[WorkerRegister] = []
        self.stop: list[StopOrder] = []
        self.adopt: list[Adoption] = []
        self.lost: list[LostAttempt] = []
        self.runs: dict[UUID, FlowRun] = {}
        self.changed = asyncio.Event()

    # -- the test's side

    def put(self, name: str = "run", attempt: int = 1, /, **configuration: Any) -> Claim:
        """Make a run wait for a claim."""
        now = datetime.now(UTC)
        flow = Flow(id=uuid4(), created=now, updated=now, name="flow", tags=[], labels={})
        run = FlowRun(id=uuid4(), created=now, updated=now, name=name, flow_id=flow.id)
        self.runs[run.id] = run
        claim = Claim(
            flow_run=run,
            flow=flow,
            deployment=None,
            attempt=attempt,
            token=f"token-of-{name}",
            lease_seconds=20.0,
            configuration=configuration,
            work_queue_name="default",
            work_pool_name=self.pool,
        )
        self.waiting.append(claim)
        return claim

    def events_of(self, flow_run_id: UUID) -> list[str]:
        return [str(report.event) for run, _, report in self.reports if run == flow_run_id]

    async def until(self, condition: Callable[[], bool], deadline: float = 60.0) -> None:
        """Wait until a call to this plane has made the condition true."""
        async with asyncio.timeout(deadline):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def _called(self) -> None:
        self.changed.set()
        if self.away:
            raise ServerUnreachable("No server answers at scripted.")

    # -- the worker's side

    async def read_work_pool(self, name: str) -> WorkPool:
        raise NotImplementedError

    async def register_worker(self, pool: str, worker: WorkerRegister) -> WorkerRegistered:
        self._called()
        self.registrations.append(worker)
        return WorkerRegistered(
            worker_id=worker.worker_id or uuid4(),
            name=worker.name,
            work_pool_id=uuid4(),
            work_pool_name=pool,
            type=worker.type,
            work_queues=["default"],
            server_time=datetime.now(UTC),
        )

    async def send_worker_heartbeat(self, pool: str, heartbeat: WorkerHeartbeat) -> None:
        self._called()
        self.heartbeats.append(heartbeat)

    async def worker_offline(self, pool: str, name: str) -> None:
        self._called()

    async def claim(self, pool: str, request: ClaimRequest) -> ClaimReply:
        self.claims.append(request)
        self._called()
        if self.refusal is not None:
            raise self.refusal
        if request.claim_id not in self.answered:
            given, self.waiting = self.waiting[: request.limit], self.waiting[request.limit :]
            self.answered[request.claim_id] = ClaimReply(claims=given, stop=self._take_stop(), adopt=self.adopt)
            self.adopt = []
        return self.answered[request.claim_id]

    def _take_stop(self) -> list[StopOrder]:
        orders, self.stop = self.stop, []
        return orders

    async def renew(self, pool: str, request: RenewRequest) -> RenewReply:
        self._called()
        self.renewals.append(request)
        lost, self.lost = self.lost, []
        return RenewReply(lease_seconds=20.0, lost=lost, stop=self._take_stop(), adopt=[])

    async def report_attempt(self, flow_run_id: UUID, attempt: int, report: AttemptReport) -> AttemptReportReply:
        self._called()
        self.reports.append((flow_run_id, attempt, report))
        return AttemptReportReply(state=None)

    async def report_attempts(self, pool: str, reports: list[AttemptReportOf]) -> list[AttemptReportResult]:
        self._called()
        self.reports += [(one.flow_run_id, one.attempt, one) for one in reports]
        return [AttemptReportResult(flow_run_id=one.flow_run_id, attempt=one.attempt) for one in reports]

    async def read_flow_run(self, flow_run_id: UUID) -> FlowRun:
        self._called()
        if flow_run_id not in self.runs:
            raise NotFound(f"There is no flow run {flow_run_id}.")
        return self.runs[flow_run_id]

    async def create_logs(self, logs: list[LogCreate]) -> None:
        self._called()
        self.log_calls += 1
        for log in logs:
            assert log.id is not None
            self.logs.setdefault(log.id, log)
