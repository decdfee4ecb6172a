"""Flow runs: create, read, set states, resume, inputs, labels, leases, explain."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from headway.client.calls import Caller
from headway.wire.deployments import DeploymentFlowRunCreate
from headway.wire.explain import Explanation
from headway.wire.flow_runs import (
    FlowRun,
    FlowRunCount,
    FlowRunCreate,
    FlowRunInput,
    FlowRunInputCreate,
    FlowRunInputQuery,
    FlowRunPage,
    FlowRunPageQuery,
    FlowRunQuery,
    FlowRunUpdate,
    ResumeFlowRun,
)
from headway.wire.states import OrchestrationResult, SetState, State, StateCreate
from headway.wire.workers import EngineOrders

__all__ = ["FlowRunCalls"]


class FlowRunCalls(Caller):
    async def create_flow_run(self, run: FlowRunCreate) -> FlowRun:
        return await self.call("POST", "/flow_runs/", body=run, reply=FlowRun)

    async def create_flow_run_from_deployment(
        self, deployment_id: UUID, run: DeploymentFlowRunCreate | None = None, **fields: Any
    ) -> FlowRun:
        """A run of a deployment; give the body, or its fields by name."""
        body = run or DeploymentFlowRunCreate(**fields)
        return await self.call("POST", f"/deployments/{deployment_id}/create_flow_run", body=body, reply=FlowRun)

    async def read_flow_run(self, flow_run_id: UUID) -> FlowRun:
        return await self.call("GET", f"/flow_runs/{flow_run_id}", reply=FlowRun)

    async def read_flow_runs(self, query: FlowRunQuery | None = None) -> list[FlowRun]:
        return await self.call("POST", "/flow_runs/filter", body=query or FlowRunQuery(), reply=list[FlowRun])

    async def paginate_flow_runs(self, query: FlowRunPageQuery) -> FlowRunPage:
        return await self.call("POST", "/flow_runs/paginate", body=query, reply=FlowRunPage)

    async def count_flow_runs(self, query: FlowRunCount | None = None) -> int:
        return await self.call("POST", "/flow_runs/count", body=query or FlowRunCount(), reply=int)

    async def update_flow_run(self, flow_run_id: UUID, update: FlowRunUpdate) -> None:
        await self.call("PATCH", f"/flow_runs/{flow_run_id}", body=update)

    async def update_flow_run_labels(self, flow_run_id: UUID, labels: dict[str, Any]) -> None:
        await self.call("PATCH", f"/flow_runs/{flow_run_id}/labels", body=labels)

    async def delete_flow_run(self, flow_run_id: UUID) -> None:
        await self.call("DELETE", f"/flow_runs/{flow_run_id}")

    async def set_flow_run_state(
        self, flow_run_id: UUID, state: StateCreate, force: bool = False
    ) -> OrchestrationResult:
        """Propose a state; a `transition_id` in its details makes repeating safe (CONTRACT §2.1 rule 2)."""
        path = f"/flow_runs/{flow_run_id}/set_state"
        return await self.call("POST", path, body=SetState(state=state, force=force), reply=OrchestrationResult)

    async def resume_flow_run(self, flow_run_id: UUID, run_input: dict[str, Any] | None = None) -> OrchestrationResult:
        path = f"/flow_runs/{flow_run_id}/resume"
        return await self.call("POST", path, body=ResumeFlowRun(run_input=run_input), reply=OrchestrationResult)

    async def read_flow_run_states(self, flow_run_id: UUID) -> list[State]:
        """The history of a run, oldest first."""
        return await self.call("GET", "/flow_run_states/", query={"flow_run_id": flow_run_id}, reply=list[State])

    async def explain_flow_run(self, flow_run_id: UUID) -> Explanation:
        """Why a run does not run (DESIGN §3)."""
        return await self.call("GET", f"/flow_runs/{flow_run_id}/explain", reply=Explanation)

    async def renew_flow_run_lease(self, flow_run_id: UUID) -> list[UUID]:
        """The engine's renewal; the runs it is to end. Raises FencedError (409) or LeaseLostError (410)."""
        path = f"/flow_runs/{flow_run_id}/lease/renew"
        status, _, content = answer = await self.answer("POST", path)
        self.check(answer, f"POST {path}")
        return msgspec.json.decode(content, type=EngineOrders).stop if status == 200 else []

    async def create_flow_run_input(self, flow_run_id: UUID, key: str, value: Any, sender: str | None = None) -> None:
        """Keep `value` as JSON under `key`."""
        text = msgspec.json.encode(value).decode()
        body = FlowRunInputCreate(key=key, value=text, sender=sender)
        await self.call("POST", f"/flow_runs/{flow_run_id}/input", body=body)

    async def read_flow_run_input(self, flow_run_id: UUID, key: str) -> Any:
        """The JSON value under `key`; NotFound if there is none."""
        _, _, content = answer = await self.answer("GET", f"/flow_runs/{flow_run_id}/input/{key}")
        self.check(answer, f"GET /flow_runs/{flow_run_id}/input/{key}")
        value = msgspec.json.decode(content)
        return msgspec.json.decode(value) if isinstance(value, str) else value

    async def filter_flow_run_inputs(
        self, flow_run_id: UUID, prefix: str, limit: int = 1, exclude_keys: list[str] | None = None
    ) -> list[FlowRunInput]:
        body = FlowRunInputQuery(prefix=prefix, limit=limit, exclude_keys=exclude_keys or [])
        path = f"/flow_runs/{flow_run_id}/input/filter"
        return await self.call("POST", path, body=body, reply=list[FlowRunInput])

    async def delete_flow_run_input(self, flow_run_id: UUID, key: str) -> None:
        await self.call("DELETE", f"/flow_runs/{flow_run_id}/input/{key}")
