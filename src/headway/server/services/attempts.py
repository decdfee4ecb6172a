"""What workers and engines say about attempts: renewals and reports (DESIGN §3)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from headway.core.clock import Clock
from headway.core.rules.commands import EndAttempt, Ending
from headway.core.rules.facts import Caller
from headway.core.settings import ServerSettings
from headway.server.services.claims import adoptions, stop_orders
from headway.server.services.transitions import Transitions, terms_of
from headway.store.protocols import Attempts
from headway.wire.states import State
from headway.wire.workers import AttemptReport, AttemptReportReply, EngineOrders, LostAttempt, RenewReply, RenewRequest

__all__ = ["AttemptService"]


class AttemptService:
    """Leases live as long as somebody renews them; reports say how attempts began and ended."""

    def __init__(self, store: Attempts, transitions: Transitions, clock: Clock, settings: ServerSettings) -> None:
        self._store = store
        self._transitions = transitions
        self._clock = clock
        self._terms = terms_of(settings)
        self._grace = settings.cancel_grace_seconds

    async def renew(self, pool: str, body: RenewRequest) -> RenewReply:
        """Renew what is still the worker's; what is not is named as lost."""
        renewed = await self._store.renew(
            pool, body.worker_id, body.attempts, self._clock.now(), self._grace, self._terms
        )
        lost = [LostAttempt(flow_run_id=ref.flow_run_id, attempt=ref.attempt) for ref in renewed.lost]
        return RenewReply(
            lease_seconds=self._terms.lease_ttl,
            lost=lost,
            stop=stop_orders(renewed.stop),
            adopt=adoptions(renewed.adopt),
        )

    async def renew_engine(self, run_id: UUID, caller: Caller) -> EngineOrders | None:
        """An engine renews the lease of its run, or of its root; what it is to end, if anything.

        Raises FencedError, LeaseLostError.
        """
        ending = await self._store.renew_engine(run_id, caller, self._clock.now(), self._grace, self._terms)
        return EngineOrders(stop=ending) if ending else None

    async def report(self, run_id: UUID, number: int, body: AttemptReport) -> AttemptReportReply:
        """What the report made of the run. The same report again gets the same answer."""
        known = await self._store.outcome(run_id, number)
        command = EndAttempt(
            run_id,
            number,
            Ending(body.event.value),
            token=body.token,
            outcome=_outcome(body),
            handle=body.handle,
            infrastructure_pid=body.infrastructure_pid,
            retryable=body.retryable,
        )
        decision = await self._transitions.submit(command)
        if known is not None:
            state = None if known.state is None else State.of(known.state)
            return AttemptReportReply(state=state, retry_scheduled=known.retry_scheduled)
        state = None if decision.state is None else State.of(decision.state)
        return AttemptReportReply(state=state, retry_scheduled=decision.retry_scheduled)


def _outcome(body: AttemptReport) -> dict[str, object]:
    names: Sequence[str] = ("exit_code", "signal", "reason", "message")
    return {name: getattr(body, name) for name in names if getattr(body, name) is not None}
