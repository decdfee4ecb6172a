"""What workers and engines say about attempts: renewals and reports (DESIGN §3)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from headway.core.clock import Clock
from headway.core.errors import HeadwayError
from headway.core.rules.commands import Decision, EndAttempt, Ending
from headway.core.rules.facts import Caller
from headway.core.settings import ServerSettings
from headway.server.services.batches import Batches
from headway.server.services.claims import adoptions, stop_orders
from headway.server.services.transitions import Transitions, terms_of
from headway.store.protocols import Attempts, Renewal, Renewed
from headway.wire.states import State
from headway.wire.workers import (
    AttemptReport,
    AttemptReportOf,
    AttemptReportReply,
    AttemptReportResult,
    EngineOrders,
    LostAttempt,
    RenewReply,
    RenewRequest,
)

__all__ = ["AttemptService"]


class AttemptService:
    """Leases live as long as somebody renews them; reports say how attempts began and ended."""

    def __init__(self, store: Attempts, transitions: Transitions, clock: Clock, settings: ServerSettings) -> None:
        self._store = store
        self._transitions = transitions
        self._clock = clock
        self._terms = terms_of(settings)
        self._grace = settings.cancel_grace_seconds
        self._renewals: Batches[Renewal, Renewed] = Batches("renewals", self._renew)
        self._engines: Batches[tuple[UUID, Caller], list[UUID]] = Batches("engine-renewals", self._renew_engines)

    async def renew(self, pool: str, body: RenewRequest) -> RenewReply:
        """Renew what is still the worker's; what is not is named as lost."""
        renewed = await self._renewals.submit(Renewal(pool, body.worker_id, body.attempts, self._grace))
        lost = [LostAttempt(flow_run_id=ref.flow_run_id, attempt=ref.attempt) for ref in renewed.lost]
        return RenewReply(
            lease_seconds=self._terms.lease_ttl,
            lost=lost,
            stop=stop_orders(renewed.stop),
            adopt=adoptions(renewed.adopt),
        )

    async def _renew(self, renewals: Sequence[Renewal]) -> Sequence[Renewed | HeadwayError]:
        return await self._store.renew(renewals, self._clock.now(), self._terms)

    async def renew_engine(self, run_id: UUID, caller: Caller) -> EngineOrders | None:
        """An engine renews the lease of its run, or of its root; what it is to end, if anything.

        Raises FencedError, LeaseLostError.
        """
        ending = await self._engines.submit((run_id, caller))
        return EngineOrders(stop=ending) if ending else None

    async def _renew_engines(self, engines: Sequence[tuple[UUID, Caller]]) -> Sequence[list[UUID] | HeadwayError]:
        return await self._store.renew_engines(engines, self._clock.now(), self._grace, self._terms)

    async def report(self, run_id: UUID, number: int, body: AttemptReport) -> AttemptReportReply:
        """What the report made of the run. The same report again gets the same answer."""
        decision = await self._transitions.submit(_command(run_id, number, body))
        return await self._reply(run_id, number, decision)

    async def report_all(self, reports: Sequence[AttemptReportOf]) -> list[AttemptReportResult]:
        """The same for many, in one transaction; one that is refused stops no other."""
        commands = [_command(one.flow_run_id, one.attempt, one) for one in reports]
        results = []
        for one, outcome in zip(reports, await self._transitions.submit_all(commands), strict=True):
            result = AttemptReportResult(flow_run_id=one.flow_run_id, attempt=one.attempt)
            if isinstance(outcome, HeadwayError):
                result.status = getattr(outcome, "status", 500)
                result.detail, result.code = outcome.message, getattr(outcome, "code", None)
            else:
                reply = await self._reply(one.flow_run_id, one.attempt, outcome)
                result.state, result.retry_scheduled = reply.state, reply.retry_scheduled
            results.append(result)
        return results

    async def _reply(self, run_id: UUID, number: int, decision: Decision) -> AttemptReportReply:
        if decision.before is decision.after:  # nothing was new in it
            known = await self._store.outcome(run_id, number)
            if known is not None:
                state = None if known.state is None else State.of(known.state)
                return AttemptReportReply(state=state, retry_scheduled=known.retry_scheduled)
        state = None if decision.state is None else State.of(decision.state)
        return AttemptReportReply(state=state, retry_scheduled=decision.retry_scheduled)


def _command(run_id: UUID, number: int, body: AttemptReport) -> EndAttempt:
    return EndAttempt(
        run_id,
        number,
        Ending(body.event.value),
        token=body.token,
        outcome=_outcome(body),
        handle=body.handle,
        infrastructure_pid=body.infrastructure_pid,
        retryable=body.retryable,
    )


def _outcome(body: AttemptReport) -> dict[str, object]:
    names: Sequence[str] = ("exit_code", "signal", "reason", "message")
    return {name: getattr(body, name) for name in names if getattr(body, name) is not None}
