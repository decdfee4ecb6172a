"""Changing states: commands go in, decisions come out, many at a time (DESIGN §3, group commit).

A batch is whatever arrived while the previous commit was in flight, so a lone caller never waits for
company. A batch that fails on a statement is halved until only the guilty command fails.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from headway.core import states
from headway.core.clock import Clock
from headway.core.errors import HeadwayError, ParameterError, Unavailable
from headway.core.parameters import check_parameters
from headway.core.rules.commands import Command, CreateRun, Decision, Propose, ProposeTask, Status
from headway.core.rules.facts import Caller, Run, Terms
from headway.core.settings import ServerSettings
from headway.core.states import State, StateType
from headway.server.services.wakes import Wakes
from headway.store import protocols
from headway.wire.flow_runs import FlowRunBulkSetState, FlowRunBulkStates, FlowRunOrchestrationResult
from headway.wire.states import (
    AbortDetails,
    AcceptDetails,
    OrchestrationResult,
    RejectDetails,
    SetState,
    SetStateStatus,
    WaitDetails,
)
from headway.wire.states import State as WireState

__all__ = ["Transitions", "orchestration_result", "terms_of"]

MAX_BATCH = 500
_TURN = 50
"""So many commands are made, or answered, before the event loop gets its turn."""
RENEWING_SINCE = (3, 4, 11)
"""Stock clients before this version cannot renew a lease (CONTRACT §1.2)."""


def terms_of(settings: ServerSettings) -> Terms:
    """The settings that rules look at."""
    return Terms(
        slot_wait=settings.slot_wait_seconds,
        lease_ttl=settings.lease.ttl_seconds,
        start_failures_max=settings.start_failures_max,
        cancel_timeout=settings.cancel_timeout_seconds,
    )


class Transitions:
    """The one way by which runs change their state."""

    def __init__(
        self, store: protocols.Transitions, clock: Clock, settings: ServerSettings, wakes: Wakes | None = None
    ) -> None:
        self.terms = terms_of(settings)
        self._wakes = wakes
        self._store = store
        self._clock = clock
        self._waiting: deque[tuple[Command, asyncio.Future[Decision]]] = deque()
        self._drain: asyncio.Task[None] | None = None

    async def submit(self, command: Command) -> Decision:
        """Decide and write one command; returns after its commit. Raises what refuses this command."""
        return await self.offer(command)

    def offer(self, command: Command) -> asyncio.Future[Decision]:
        """Put a command into the next batch; what comes of it, after its commit."""
        loop = asyncio.get_running_loop()
        if self._drain is not None and self._drain.get_loop() is not loop:
            # After a fork, or in another loop: what waited there is answered there, or nowhere.
            self._drain, self._waiting = None, deque()
        answer: asyncio.Future[Decision] = loop.create_future()
        self._waiting.append((command, answer))
        if self._drain is None or self._drain.done():
            self._drain = loop.create_task(self._commit_batches(), name="headway-transitions")
        return answer

    async def submit_all(self, commands: Iterable[Command]) -> list[Decision | HeadwayError]:
        """One outcome per command, in order; refusals are returned, not raised.

        `commands` may be made on the way: the event loop gets its turn between a few of them and the next.
        """
        answers: list[asyncio.Future[Decision]] = []
        for command in commands:
            answers.append(self.offer(command))
            if len(answers) % _TURN == 0:
                await asyncio.sleep(0)
        outcomes = await asyncio.gather(*answers, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, HeadwayError):
                raise outcome
        return outcomes  # type: ignore[return-value]  # anything else was raised

    async def close(self) -> None:
        """Finish what was submitted; closing twice, or before anything was submitted, is harmless."""
        if self._drain is not None:
            await asyncio.wait({self._drain})

    async def _commit_batches(self) -> None:
        while self._waiting:
            # Those who have their answer send it before the writer's thread wants the interpreter, and who has
            # asked meanwhile comes along: one turn of the loop, no timer.
            await asyncio.sleep(0)
            size = min(len(self._waiting), MAX_BATCH)
            await self._commit([self._waiting.popleft() for _ in range(size)])

    async def _commit(self, batch: list[tuple[Command, asyncio.Future[Decision]]]) -> None:
        try:
            commands = [command for command, _ in batch]
            outcomes: Sequence[Decision | BaseException] = await self._store.execute(
                commands, self._clock.now(), self.terms
            )
        except Unavailable as error:
            outcomes = [error] * len(batch)
        except Exception as error:
            if len(batch) > 1:
                await self._commit(batch[: len(batch) // 2])
                await self._commit(batch[len(batch) // 2 :])
                return
            outcomes = [error]
        if self._wakes is not None:
            self._wakes.heed([outcome for outcome in outcomes if isinstance(outcome, Decision)], self._clock.now())
        for index, ((_, answer), outcome) in enumerate(zip(batch, outcomes, strict=True), 1):
            if index % _TURN == 0:
                await asyncio.sleep(0)  # those who have their answer send it before the next get theirs
            if answer.done():
                continue
            if isinstance(outcome, BaseException):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

    async def set_flow_run_state(
        self, id: UUID, body: SetState, caller: Caller, client: tuple[int, ...] | None = None
    ) -> tuple[OrchestrationResult, bool]:
        """The answer to a proposal, and whether a state was written. `client` is a stock client's version."""
        command = Propose(
            id,
            body.state.proposed(),
            force=bool(body.force),
            caller=caller,
            renews_leases=client is None or client >= RENEWING_SINCE,
        )
        decision = await self.submit(command)
        return orchestration_result(decision), bool(decision.written)

    async def set_flow_run_states(self, ids: Sequence[UUID], body: FlowRunBulkSetState) -> FlowRunBulkStates:
        """The same state proposed for many runs; one that is refused says why and stops no other."""
        proposals = [Propose(id, body.state.proposed(), force=bool(body.force), caller=Caller()) for id in ids]
        results = []
        for id, outcome in zip(ids, await self.submit_all(proposals), strict=True):
            if isinstance(outcome, HeadwayError):
                answer = OrchestrationResult(None, SetStateStatus.ABORT, AbortDetails(outcome.message))
            else:
                answer = orchestration_result(outcome)
            results.append(FlowRunOrchestrationResult(id, answer.status, answer.state, answer.details))
        return FlowRunBulkStates(results)

    async def set_task_run_state(self, id: UUID, body: SetState) -> tuple[OrchestrationResult, bool]:
        """The answer to a proposal, and whether a state was written."""
        decision = await self.submit(ProposeTask(id, body.state.proposed(), force=bool(body.force)))
        return orchestration_result(decision), bool(decision.tasks)

    async def create_run(
        self, run: Run, state: State | None, row: dict[str, Any], caller: Caller | None = None
    ) -> Decision:
        """A new run with its first state. A decision without `created` means that it existed (200, not 201)."""
        return await self.submit(CreateRun(run, state, row, caller))

    async def resume(self, id: UUID, run_input: dict[str, Any] | None) -> tuple[OrchestrationResult, bool]:
        """Let a paused or suspended run go on (CONTRACT §2.4), with the input that it waits for."""
        paused, schema = await self._store.paused_input(id)
        if paused is None or not paused.is_paused:
            reason = "Cannot resume a flow run that is not paused."
            return OrchestrationResult(None, SetStateStatus.ABORT, AbortDetails(reason)), False
        keyset = paused.details.get("run_input_keyset") or {}
        if keyset:
            refusal = _check_input(run_input or {}, schema)
            if refusal is not None:
                return OrchestrationResult(WireState.of(paused), SetStateStatus.REJECT, RejectDetails(refusal)), False
            await self._store.answer_input(id, keyset["response"], json.dumps(run_input or {}), self._clock.now())
        suspended = bool(paused.details.get("pause_reschedule"))
        goal = states.Resuming(self._clock.now()) if suspended else states.Running()
        decision = await self.submit(Propose(id, goal, only_from=StateType.PAUSED))
        return orchestration_result(decision), bool(decision.written)


def _check_input(run_input: dict[str, Any], schema: str | None) -> str | None:
    """Why the input does not fit the schema the run asked for, or None."""
    if schema is None:
        return "Run input schema not found."
    try:
        check_parameters(run_input, json.loads(schema))
    except ParameterError as error:
        return f"Run input validation failed: {error.message}"
    return None


def orchestration_result(decision: Decision) -> OrchestrationResult:
    """A decision as set_state answers it; WAIT and ABORT still carry the current state (CONTRACT §2)."""
    state = None if decision.state is None else WireState.of(decision.state)
    status = SetStateStatus(decision.status.value)
    match decision.status:
        case Status.ACCEPT:
            return OrchestrationResult(state, status, AcceptDetails())
        case Status.REJECT:
            return OrchestrationResult(state, status, RejectDetails(decision.reason))
        case Status.WAIT:
            return OrchestrationResult(state, status, WaitDetails(decision.delay, decision.reason))
        case Status.ABORT:
            return OrchestrationResult(state, status, AbortDetails(decision.reason))
