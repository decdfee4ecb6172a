"""set_state and resume (CONTRACT §2)."""

from __future__ import annotations

from uuid import UUID

from headway.core.rules.facts import Caller as Fence
from headway.server.api.routing import Answer, Caller, Route
from headway.server.services.filtering import criteria_of
from headway.server.services.flow_runs import FlowRunService
from headway.server.services.transitions import Transitions
from headway.wire.flow_runs import FlowRunBulkSetState, FlowRunBulkStates, ResumeFlowRun
from headway.wire.states import OrchestrationResult, SetState

BULK_LIMIT = 50


def fence_of(caller: Caller) -> Fence:
    """The attempt a request speaks for, as the rules see it."""
    return Fence(token=caller.token, nonce=caller.nonce, number=caller.attempt)


def routes(transitions: Transitions) -> list[Route]:
    async def set_flow_run_state(id: UUID, body: SetState, caller: Caller) -> Answer:
        """Propose a state; 201 if one was written, 200 if not."""
        result = await transitions.set_flow_run_state(id, body, fence_of(caller), caller.prefect_version)
        return _answer(*result)

    async def set_task_run_state(id: UUID, body: SetState) -> Answer:
        """Propose a state for a task run; ordinary tasks report theirs as events."""
        return _answer(*await transitions.set_task_run_state(id, body))

    async def resume(id: UUID, body: ResumeFlowRun = ResumeFlowRun()) -> Answer:  # noqa: B008 - no body, no input
        """Let a paused run go on."""
        return _answer(*await transitions.resume(id, body.run_input))

    return [
        Route("POST", "/flow_runs/{id}/set_state", set_flow_run_state, 201, "Flow Runs"),
        Route("POST", "/flow_runs/{id}/resume", resume, 201, "Flow Runs"),
        Route("POST", "/task_runs/{id}/set_state", set_task_run_state, 201, "Task Runs"),
    ]


def bulk_routes(transitions: Transitions, runs: FlowRunService) -> list[Route]:
    async def bulk_set_state(body: FlowRunBulkSetState) -> FlowRunBulkStates:
        """Propose one state for every run that matches, 50 at most unless `limit` says otherwise."""
        limit = BULK_LIMIT if body.limit is None else body.limit
        ids = await runs.ids(criteria_of(flow_runs=body.flow_runs), limit)
        return await transitions.set_flow_run_states(ids, body)

    return [Route("POST", "/flow_runs/bulk_set_state", bulk_set_state, tag="Flow Runs")]


def _answer(result: OrchestrationResult, written: bool) -> Answer:
    return Answer(201 if written else 200, result)
