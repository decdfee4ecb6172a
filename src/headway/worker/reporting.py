"""Reports of attempts on their way to the server: what comes while a request is in flight goes with the next one.

A report that an attempt has started is left out if it has ended by then, which says the same and more.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from uuid import UUID

from headway.wire.workers import AttemptEvent, AttemptReport, AttemptReportOf
from headway.worker.control_plane import ControlPlane
from headway.worker.delivery import until_accepted

__all__ = ["Reporter"]

MOST = 200
logger = logging.getLogger("headway.worker")


@dataclass(slots=True)
class _Waiting:
    name: str
    flow_run_id: UUID
    attempt: int
    report: AttemptReport
    accepted: asyncio.Future[None]


class Reporter:
    """All reports of one worker."""

    def __init__(self, plane: ControlPlane, pool: str) -> None:
        self._plane = plane
        self._pool = pool
        self._waiting: list[_Waiting] = []
        self._sending: asyncio.Task[None] | None = None

    async def deliver(self, name: str, flow_run_id: UUID, attempt: int, report: AttemptReport) -> None:
        """Returns once the server has taken or refused it, however long it is away; `name` is the run's."""
        if report.event is not AttemptEvent.STARTED:
            self._leave_out_start(flow_run_id, attempt)
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(name, flow_run_id, attempt, report, accepted))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())
        await accepted

    def close(self) -> None:
        """The worker leaves: what is not delivered is said by its next incarnation."""
        if self._sending is not None:
            self._sending.cancel()

    def _leave_out_start(self, flow_run_id: UUID, attempt: int) -> None:
        for one in self._waiting:
            if (one.flow_run_id, one.attempt) == (flow_run_id, attempt) and not one.accepted.done():
                one.accepted.set_result(None)

    async def _send(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            batch = [one for one in batch if not one.accepted.done()]
            if len(batch) == 1:
                await self._send_one(batch[0])
            elif batch:
                await self._send_many(batch)
            for one in batch:
                if not one.accepted.done():
                    one.accepted.set_result(None)

    async def _send_one(self, one: _Waiting) -> None:
        await until_accepted(
            lambda: self._plane.report_attempt(one.flow_run_id, one.attempt, one.report),
            f"Report '{one.report.event}' of flow run '{one.name}'",
        )

    async def _send_many(self, batch: list[_Waiting]) -> None:
        reports = [_addressed(one) for one in batch]
        results = await until_accepted(
            lambda: self._plane.report_attempts(self._pool, reports), f"A batch of {len(reports)} reports"
        )
        if results is None:  # refused as a whole: each for itself
            for one in batch:
                await self._send_one(one)
            return
        for one, result in zip(batch, results, strict=False):
            if result.status >= 400:
                logger.warning(
                    "Report '%s' of flow run '%s' was refused: %s", one.report.event, one.name, result.detail
                )


def _addressed(one: _Waiting) -> AttemptReportOf:
    report = one.report
    return AttemptReportOf(
        flow_run_id=one.flow_run_id,
        attempt=one.attempt,
        token=report.token,
        event=report.event,
        handle=report.handle,
        infrastructure_pid=report.infrastructure_pid,
        exit_code=report.exit_code,
        signal=report.signal,
        reason=report.reason,
        message=report.message,
        retryable=report.retryable,
    )
