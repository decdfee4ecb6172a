"""/deployments (CONTRACT §1.3)."""

from __future__ import annotations

from uuid import UUID

from headway.server.api.routing import Answer, Caller, Route
from headway.server.services.deployment_runs import DeploymentRunService
from headway.server.services.deployments import DeploymentService
from headway.server.services.filtering import criteria, page_count
from headway.wire.base import MAX_LIMIT
from headway.wire.deployments import (
    Deployment,
    DeploymentBulkDelete,
    DeploymentBulkDeleted,
    DeploymentCount,
    DeploymentCreate,
    DeploymentFlowRunCreate,
    DeploymentPage,
    DeploymentPageQuery,
    DeploymentQuery,
    DeploymentSchedule,
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
    DeploymentUpdate,
    FlowRunBulkCreated,
    ScheduleDeployment,
    ScheduledRunsOfDeployments,
)
from headway.wire.flow_runs import FlowRun
from headway.wire.work_queues import WorkQueue

__all__ = ["routes"]

BULK_LIMIT = 50


def routes(deployments: DeploymentService, runs: DeploymentRunService) -> list[Route]:
    return [*_resource_routes(deployments), *_schedule_routes(deployments), *_run_routes(deployments, runs)]


def _resource_routes(deployments: DeploymentService) -> list[Route]:
    async def create(body: DeploymentCreate, caller: Caller) -> Answer:
        """Create a deployment; one of that flow and name is changed and answered with 200."""
        engine = None if caller.prefect_version is None else "prefect"
        deployment, is_new = await deployments.create(body, engine)
        return Answer(201 if is_new else 200, deployment)

    async def read(id: UUID) -> Deployment:
        return await deployments.read(id)

    async def read_by_name(flow_name: str, deployment_name: str) -> Deployment:
        return await deployments.read_by_name(flow_name, deployment_name)

    async def update(id: UUID, body: DeploymentUpdate) -> None:
        await deployments.update(id, body)

    async def delete(id: UUID, force: bool = False) -> None:
        """Refused with 409 while runs wait or run; `force=true` cancels them first."""
        await deployments.delete(id, force=force)

    async def bulk_delete(body: DeploymentBulkDelete) -> DeploymentBulkDeleted:
        chosen = DeploymentCount(deployments=body.deployments)
        limit = min(body.limit or BULK_LIMIT, BULK_LIMIT)
        return DeploymentBulkDeleted(deleted=await deployments.delete_many(criteria(chosen), limit))

    async def filter(body: DeploymentQuery = DeploymentQuery()) -> list[Deployment]:  # noqa: B008
        limit = MAX_LIMIT if body.limit is None else body.limit
        return await deployments.page(criteria(body), body.sort, limit, body.offset or 0)

    async def count(body: DeploymentCount = DeploymentCount()) -> int:  # noqa: B008
        return await deployments.count(criteria(body))

    async def paginate(body: DeploymentPageQuery = DeploymentPageQuery()) -> DeploymentPage:  # noqa: B008
        limit, page = MAX_LIMIT if body.limit is None else body.limit, body.page or 1
        results = await deployments.page(criteria(body), body.sort, limit, (page - 1) * limit)
        total = await deployments.count(criteria(body))
        return DeploymentPage(results=results, count=total, limit=limit, pages=page_count(total, limit), page=page)

    return [
        Route("POST", "/deployments/", create, 201, "Deployments"),
        Route("GET", "/deployments/{id}", read, tag="Deployments"),
        Route("GET", "/deployments/name/{flow_name}/{deployment_name}", read_by_name, tag="Deployments"),
        Route("PATCH", "/deployments/{id}", update, tag="Deployments"),
        Route("DELETE", "/deployments/{id}", delete, tag="Deployments"),
        Route("POST", "/deployments/bulk_delete", bulk_delete, tag="Deployments"),
        Route("POST", "/deployments/filter", filter, tag="Deployments"),
        Route("POST", "/deployments/count", count, tag="Deployments"),
        Route("POST", "/deployments/paginate", paginate, tag="Deployments"),
    ]


def _schedule_routes(deployments: DeploymentService) -> list[Route]:
    async def schedules(id: UUID) -> list[DeploymentSchedule]:
        return await deployments.schedules(id)

    async def add_schedules(id: UUID, body: list[DeploymentScheduleCreate]) -> list[DeploymentSchedule]:
        return await deployments.add_schedules(id, body)

    async def change_schedule(id: UUID, schedule_id: UUID, body: DeploymentScheduleUpdate) -> None:
        await deployments.change_schedule(id, schedule_id, body)

    async def drop_schedule(id: UUID, schedule_id: UUID) -> None:
        await deployments.drop_schedule(id, schedule_id)

    async def pause(id: UUID) -> Answer:
        """No new runs are planned; those planned ahead are forgotten."""
        await deployments.set_paused(id, True)
        return Answer(200)

    async def resume(id: UUID) -> Answer:
        await deployments.set_paused(id, False)
        return Answer(200)

    one = "/deployments/{id}/schedules/{schedule_id}"
    return [
        Route("GET", "/deployments/{id}/schedules", schedules, tag="Deployments"),
        Route("POST", "/deployments/{id}/schedules", add_schedules, 201, "Deployments"),
        Route("PATCH", one, change_schedule, tag="Deployments"),
        Route("DELETE", one, drop_schedule, tag="Deployments"),
        Route("POST", "/deployments/{id}/pause_deployment", pause, tag="Deployments"),
        Route("POST", "/deployments/{id}/resume_deployment", resume, tag="Deployments"),
    ]


def _run_routes(deployments: DeploymentService, runs: DeploymentRunService) -> list[Route]:
    async def create_run(id: UUID, body: DeploymentFlowRunCreate = DeploymentFlowRunCreate()) -> Answer:  # noqa: B008
        """Make a run; an idempotency key that is taken answers the old one with 200."""
        run, is_new = await runs.create(id, body)
        return Answer(201 if is_new else 200, run)

    async def create_runs(id: UUID, body: list[DeploymentFlowRunCreate]) -> FlowRunBulkCreated:
        return FlowRunBulkCreated(results=await runs.create_many(id, body))

    async def schedule(id: UUID, body: ScheduleDeployment = ScheduleDeployment()) -> Answer:  # noqa: B008
        """Make the runs of a span of the schedules now; the span may lie in the past."""
        await runs.schedule(id, body)
        return Answer(200)

    async def work_queue_check(id: UUID) -> list[WorkQueue]:
        return await deployments.work_queues(id)

    async def scheduled_runs(body: ScheduledRunsOfDeployments) -> list[FlowRun]:
        limit = MAX_LIMIT if body.limit is None else body.limit
        return await runs.due(body.deployment_ids, body.scheduled_before, limit)

    return [
        Route("POST", "/deployments/{id}/create_flow_run", create_run, 201, "Deployments"),
        Route("POST", "/deployments/{id}/create_flow_run/bulk", create_runs, tag="Deployments"),
        Route("POST", "/deployments/{id}/schedule", schedule, tag="Deployments"),
        Route("GET", "/deployments/{id}/work_queue_check", work_queue_check, tag="Deployments"),
        Route("POST", "/deployments/get_scheduled_flow_runs", scheduled_runs, tag="Deployments"),
    ]
