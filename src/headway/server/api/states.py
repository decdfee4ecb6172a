"""/flow_run_states and /task_run_states (CONTRACT §1.3)."""

from __future__ import annotations

from uuid import UUID

from headway.server.api.routing import Route
from headway.server.services.states import StateService
from headway.wire.states import State

__all__ = ["routes"]


def routes(of_flow_runs: StateService, of_task_runs: StateService) -> list[Route]:
    async def flow_run_state(id: UUID) -> State:
        return await of_flow_runs.read(id)

    async def flow_run_states(flow_run_id: UUID) -> list[State]:
        """The history of a flow run, oldest first."""
        return await of_flow_runs.of_run(flow_run_id)

    async def task_run_state(id: UUID) -> State:
        return await of_task_runs.read(id)

    async def task_run_states(task_run_id: UUID) -> list[State]:
        """The history of a task run, oldest first."""
        return await of_task_runs.of_run(task_run_id)

    return [
        Route("GET", "/flow_run_states/{id}", flow_run_state, tag="Flow Run States"),
        Route("GET", "/flow_run_states/", flow_run_states, tag="Flow Run States"),
        Route("GET", "/task_run_states/{id}", task_run_state, tag="Task Run States"),
        Route("GET", "/task_run_states/", task_run_states, tag="Task Run States"),
    ]
