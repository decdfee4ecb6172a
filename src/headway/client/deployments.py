"""Deployments and their schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from headway.client.calls import Caller
from headway.wire.deployments import (
    Deployment,
    DeploymentCreate,
    DeploymentQuery,
    DeploymentSchedule,
    DeploymentScheduleCreate,
    DeploymentUpdate,
    ScheduledRunsOfDeployments,
)
from headway.wire.flow_runs import FlowRun
from headway.wire.schedules import Schedule

__all__ = ["DeploymentCalls", "schedule_entry"]


class DeploymentCalls(Caller):
    async def create_deployment(
        self,
        flow_id: UUID,
        name: str,
        parameters: dict[str, Any] | None = None,
        schedule: Schedule | None = None,
        work_pool_name: str | None = None,
        work_queue_name: str | None = None,
        *,
        schedules: list[Schedule | DeploymentScheduleCreate] | None = None,
        **fields: Any,
    ) -> UUID:
        """Make or replace the deployment `name` of a flow; returns its id.

        `fields` are those of the API's DeploymentCreate: entrypoint, path, tags, description, version,
        job_variables, paused, concurrency_limit, parameter_openapi_schema, enforce_parameter_schema, …
        """
        wanted = [*(schedules or []), *([schedule] if schedule is not None else [])]
        body = DeploymentCreate(
            flow_id=flow_id,
            name=name,
            parameters=parameters or {},
            schedules=[schedule_entry(entry) for entry in wanted],
            work_pool_name=work_pool_name,
            work_queue_name=work_queue_name,
            **fields,
        )
        return (await self.apply_deployment(body)).id

    async def apply_deployment(self, deployment: DeploymentCreate) -> Deployment:
        return await self.call("POST", "/deployments/", body=deployment, reply=Deployment)

    async def read_deployment(self, deployment_id: UUID) -> Deployment:
        return await self.call("GET", f"/deployments/{deployment_id}", reply=Deployment)

    async def read_deployment_by_name(self, name: str) -> Deployment:
        """By "flow/deployment"."""
        return await self.call("GET", f"/deployments/name/{name}", reply=Deployment)

    async def read_deployments(self, query: DeploymentQuery | None = None) -> list[Deployment]:
        path = "/deployments/filter"
        return await self.call("POST", path, body=query or DeploymentQuery(), reply=list[Deployment])

    async def update_deployment(self, deployment_id: UUID, update: DeploymentUpdate) -> None:
        await self.call("PATCH", f"/deployments/{deployment_id}", body=update)

    async def delete_deployment(self, deployment_id: UUID, force: bool = False) -> None:
        query: dict[str, Any] = {"force": "true"} if force else {}
        await self.call("DELETE", f"/deployments/{deployment_id}", query=query)

    async def pause_deployment(self, deployment_id: UUID) -> None:
        await self.call("POST", f"/deployments/{deployment_id}/pause_deployment")

    async def resume_deployment(self, deployment_id: UUID) -> None:
        await self.call("POST", f"/deployments/{deployment_id}/resume_deployment")

    async def read_deployment_schedules(self, deployment_id: UUID) -> list[DeploymentSchedule]:
        path = f"/deployments/{deployment_id}/schedules"
        return await self.call("GET", path, reply=list[DeploymentSchedule])

    async def create_deployment_schedules(
        self, deployment_id: UUID, schedules: list[Schedule | DeploymentScheduleCreate]
    ) -> list[DeploymentSchedule]:
        body = [schedule_entry(entry) for entry in schedules]
        path = f"/deployments/{deployment_id}/schedules"
        return await self.call("POST", path, body=body, reply=list[DeploymentSchedule])

    async def delete_deployment_schedule(self, deployment_id: UUID, schedule_id: UUID) -> None:
        await self.call("DELETE", f"/deployments/{deployment_id}/schedules/{schedule_id}")

    async def get_scheduled_flow_runs_for_deployments(
        self, deployment_ids: list[UUID], scheduled_before: datetime | None = None, limit: int | None = None
    ) -> list[FlowRun]:
        body = ScheduledRunsOfDeployments(deployment_ids=deployment_ids, scheduled_before=scheduled_before, limit=limit)
        path = "/deployments/get_scheduled_flow_runs"
        return await self.call("POST", path, body=body, reply=list[FlowRun])


def schedule_entry(entry: Schedule | DeploymentScheduleCreate) -> DeploymentScheduleCreate:
    return entry if isinstance(entry, DeploymentScheduleCreate) else DeploymentScheduleCreate(schedule=entry)
