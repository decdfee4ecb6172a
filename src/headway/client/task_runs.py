"""Task runs."""

from __future__ import annotations

from uuid import UUID

from headway.client.calls import Caller
from headway.wire.states import OrchestrationResult, SetState, State, StateCreate
from headway.wire.task_runs import TaskRun, TaskRunCount, TaskRunCreate, TaskRunQuery

__all__ = ["TaskRunCalls"]


class TaskRunCalls(Caller):
    async def create_task_run(self, run: TaskRunCreate) -> TaskRun:
        """Only subflows' parents are made this way; ordinary tasks come from events (CONTRACT §2.5)."""
        return await self.call("POST", "/task_runs/", body=run, reply=TaskRun)

    async def read_task_run(self, task_run_id: UUID) -> TaskRun:
        return await self.call("GET", f"/task_runs/{task_run_id}", reply=TaskRun)

    async def read_task_runs(self, query: TaskRunQuery | None = None) -> list[TaskRun]:
        return await self.call("POST", "/task_runs/filter", body=query or TaskRunQuery(), reply=list[TaskRun])

    async def count_task_runs(self, query: TaskRunCount | None = None) -> int:
        return await self.call("POST", "/task_runs/count", body=query or TaskRunCount(), reply=int)

    async def set_task_run_state(
        self, task_run_id: UUID, state: StateCreate, force: bool = False
    ) -> OrchestrationResult:
        path = f"/task_runs/{task_run_id}/set_state"
        return await self.call("POST", path, body=SetState(state=state, force=force), reply=OrchestrationResult)

    async def read_task_run_states(self, task_run_id: UUID) -> list[State]:
        return await self.call("GET", "/task_run_states/", query={"task_run_id": task_run_id}, reply=list[State])
