"""Every wire struct against the reference's OpenAPI: the same fields, required and nullable alike.

What Headway has beyond it is listed here field by field; a request field may be more tolerant, never stricter.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headway.wire import (
    admin,
    deployments,
    events,
    filters,
    flow_runs,
    flows,
    graph,
    logs,
    states,
    task_runs,
    work_pools,
    work_queues,
    workers,
)

SCHEMAS = json.loads((Path(__file__).parent / "reference" / "openapi-3.8.8.json").read_text())["schemas"]
RETRIES = {"retries", "retry_delay", "retry_on_crash"}
SCOPE = {"flows", "flow_runs", "task_runs", "deployments", "work_pools", "work_pool_queues", "work_queues"}


def body(route: str) -> str:
    """The name the reference gives to a body without a model of its own."""
    return next(name for name in SCHEMAS if name.startswith("Body_") and name.endswith(f"_{route}_post"))


REQUESTS: list[tuple[type[msgspec.Struct], str, set[str]]] = [
    (flows.FlowCreate, "FlowCreate", set()),
    (flows.FlowUpdate, "FlowUpdate", set()),
    (flows.FlowQuery, body("flows_filter"), SCOPE),
    (flows.FlowCount, body("flows_count"), SCOPE),
    (flows.FlowPageQuery, body("flows_paginate"), SCOPE),
    (flows.FlowBulkDelete, body("flows_bulk_delete"), set()),
    (flow_runs.FlowRunCreate, "FlowRunCreate", {"id"}),
    (flow_runs.FlowRunUpdate, "FlowRunUpdate", set()),
    (flow_runs.FlowRunPolicy, "FlowRunPolicy", {"retry_on_crash"}),
    (flow_runs.FlowRunQuery, body("flow_runs_filter"), SCOPE),
    (flow_runs.FlowRunCount, body("flow_runs_count"), SCOPE),
    (flow_runs.FlowRunPageQuery, body("flow_runs_paginate"), SCOPE),
    (flow_runs.FlowRunLateness, body("flow_runs_lateness"), SCOPE),
    (flow_runs.FlowRunHistory, body("flow_runs_history"), SCOPE),
    (flow_runs.FlowRunHistory, body("task_runs_history"), SCOPE),
    (flow_runs.ResumeFlowRun, body("resume"), set()),
    (flow_runs.FlowRunInputCreate, body("input"), set()),
    (flow_runs.FlowRunInputQuery, body("input_filter"), set()),
    (flow_runs.FlowRunBulkDelete, body("flow_runs_bulk_delete"), set()),
    (states.SetState, body("flow_runs__id__set_state"), set()),
    (states.StateCreate, "StateCreate", set()),
    (states.StateDetails, "StateDetails", set()),
    (task_runs.TaskRunCreate, "TaskRunCreate", set()),
    (task_runs.TaskRunUpdate, "TaskRunUpdate", set()),
    (task_runs.TaskRunPolicy, "TaskRunPolicy", set()),
    (task_runs.TaskRunQuery, body("task_runs_filter"), SCOPE),
    (task_runs.TaskRunCount, body("task_runs_count"), SCOPE),
    (task_runs.TaskRunPageQuery, body("task_runs_paginate"), SCOPE),
    (deployments.DeploymentCreate, "DeploymentCreate", RETRIES),
    (deployments.DeploymentUpdate, "DeploymentUpdate", RETRIES),
    (deployments.DeploymentFlowRunCreate, "DeploymentFlowRunCreate", {"id"}),
    (deployments.DeploymentScheduleCreate, "DeploymentScheduleCreate", set()),
    (deployments.DeploymentScheduleUpdate, "DeploymentScheduleUpdate", set()),
    (deployments.ConcurrencyOptions, "ConcurrencyOptions", set()),
    (deployments.DeploymentQuery, body("deployments_filter"), SCOPE),
    (deployments.DeploymentCount, body("deployments_count"), SCOPE),
    (deployments.DeploymentPageQuery, body("deployments_paginate"), SCOPE),
    (deployments.ScheduledRunsOfDeployments, body("deployments_get_scheduled_flow_runs"), set()),
    (deployments.ScheduleDeployment, body("deployments__id__schedule"), set()),
    (work_pools.WorkPoolCreate, "WorkPoolCreate", set()),
    (work_pools.WorkPoolUpdate, "WorkPoolUpdate", {"type"}),
    (work_pools.WorkPoolQuery, body("work_pools_filter"), set()),
    (work_pools.WorkPoolCount, body("work_pools_count"), set()),
    (work_pools.ScheduledRunsOfPool, body("work_pools__name__get_scheduled_flow_runs"), set()),
    (work_pools.WorkPoolConcurrencyQuery, body("work_pools__name__concurrency_status"), set()),
    (work_queues.WorkQueueCreate, "WorkQueueCreate", set()),
    (work_queues.WorkQueueUpdate, "WorkQueueUpdate", set()),
    (work_queues.WorkQueueQuery, body("work_pools__work_pool_name__queues_filter"), set()),
    (work_queues.ScheduledRunsOfQueue, body("get_runs"), set()),
    (work_queues.WorkQueueConcurrencyQuery, body("work_queues__id__concurrency_status"), set()),
    (workers.WorkerHeartbeat, body("workers_heartbeat"),
     {"type", "work_queues", "limit", "flow_run_ids", "worker_id"}),
    (workers.WorkerQuery, body("workers_filter"), set()),
    (logs.LogCreate, "LogCreate", {"id", "attempt", "position"}),
    (logs.LogQuery, body("logs_filter"), set()),
    (events.Event, "Event", set()),
    *((getattr(filters, name), name, set()) for name in (
        "FlowFilter", "FlowRunFilter", "TaskRunFilter", "DeploymentFilter", "WorkPoolFilter", "WorkQueueFilter",
        "WorkerFilter", "LogFilter")),
]  # fmt: skip
REPLIES: list[tuple[type[msgspec.Struct], str, set[str]]] = [
    (admin.CsrfToken, "CsrfToken", set()),
    (flows.Flow, "Flow", set()),
    (flows.FlowPage, "FlowPaginationResponse", set()),
    (flows.FlowBulkDeleted, "FlowBulkDeleteResponse", set()),
    (flow_runs.FlowRun, "FlowRunResponse", {"attempt"}),
    (flow_runs.FlowRunPage, "FlowRunPaginationResponse", set()),
    (flow_runs.FlowRunInput, "FlowRunInput", set()),
    (flow_runs.HistoryInterval, "HistoryResponse", set()),
    (flow_runs.HistoryState, "HistoryResponseState", set()),
    (flow_runs.CreatedBy, "CreatedBy", set()),
    (graph.Graph, "Graph", set()),
    (graph.Node, "Node", set()),
    (graph.GraphState, "GraphState", set()),
    (graph.GraphArtifact, "GraphArtifact", set()),
    (states.State, "State", set()),
    (states.OrchestrationResult, "OrchestrationResult", set()),
    (states.AcceptDetails, "StateAcceptDetails", set()),
    (states.RejectDetails, "StateRejectDetails", set()),
    (states.AbortDetails, "StateAbortDetails", set()),
    (states.WaitDetails, "StateWaitDetails", set()),
    (task_runs.TaskRun, "TaskRun", set()),
    (task_runs.TaskRunPage, "TaskRunPaginationResponse", set()),
    (task_runs.PagedTaskRun, "TaskRunResponse", set()),
    (deployments.Deployment, "DeploymentResponse", RETRIES),
    (deployments.DeploymentSchedule, "DeploymentSchedule", set()),
    (deployments.DeploymentPage, "DeploymentPaginationResponse", set()),
    (deployments.GlobalConcurrencyLimit, "GlobalConcurrencyLimitResponse", set()),
    (work_pools.WorkPool, "WorkPoolResponse", {"warnings"}),
    (work_pools.WorkPoolConcurrency, "WorkPoolConcurrencyStatus", set()),
    (work_pools.WorkQueueSlots, "WorkQueueConcurrencyStatusDetail", set()),
    (work_pools.ScheduledRun, "WorkerFlowRunResponse", set()),
    (work_queues.WorkQueue, "WorkQueueResponse", {"served_order"}),
    (work_queues.WorkQueueHealth, "WorkQueueStatusDetail", set()),
    (work_queues.WorkQueueConcurrency, "WorkQueueConcurrencyStatus", set()),
    (work_queues.FlowRunSlot, "FlowRunSlotSummary", set()),
    (workers.Worker, "WorkerResponse", {"type", "work_queues", "limit", "flow_run_ids"}),
    (logs.Log, "Log", set()),
]


def names(rows: list[tuple[type[msgspec.Struct], str, set[str]]]) -> Any:
    return [pytest.param(*row, id=f"{row[0].__name__}-{row[1]}") for row in rows]


def keys(struct: type[msgspec.Struct]) -> set[str]:
    config = struct.__struct_config__
    return {*struct.__struct_encode_fields__, *([config.tag_field] if config.tag_field else [])}


def required(struct: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct) if field.required}


def takes_null(struct: type[msgspec.Struct], name: str) -> bool:
    info = next(field for field in msgspec.inspect.type_info(struct).fields if field.encode_name == name)  # type: ignore[attr-defined]
    members = info.type.types if isinstance(info.type, msgspec.inspect.UnionType) else (info.type,)
    return any(isinstance(member, msgspec.inspect.NoneType | msgspec.inspect.AnyType) for member in members)


def nullable(schema: dict[str, Any]) -> bool:
    return any(choice.get("type") == "null" for choice in schema.get("anyOf", ()))


@pytest.mark.parametrize(("struct", "name", "own"), names(REQUESTS))
def test_a_request_takes_what_the_reference_takes(struct: type[msgspec.Struct], name: str, own: set[str]) -> None:
    theirs = SCHEMAS[name]
    fields = set(theirs["properties"])
    assert fields - keys(struct) == set()
    assert keys(struct) - fields <= own
    assert required(struct) == set(theirs.get("required", ()))
    must_take_null = {field for field in fields if nullable(theirs["properties"][field])}
    assert {field for field in must_take_null if not takes_null(struct, field)} == set()


@pytest.mark.parametrize(("struct", "name", "own"), names(REPLIES))
def test_a_reply_has_the_references_keys(struct: type[msgspec.Struct], name: str, own: set[str]) -> None:
    theirs = SCHEMAS[name]
    assert keys(struct) - own == set(theirs["properties"])
    never_null = {field for field, schema in theirs["properties"].items() if "type" in schema}
    assert {
        field for field in never_null & keys(struct) if field in struct.__struct_fields__ and takes_null(struct, field)
    } == set()


def test_every_request_and_reply_type_of_the_wire_is_held_to_the_reference() -> None:
    ours_alone = {
        "FlowRunBulkSetState", "FlowRunBulkStates", "FlowRunBulkDeleted", "FlowRunBulkCreated", "DeploymentBulkDelete",
        "DeploymentBulkDeleted", "FlowRunCreateResult", "FlowRunOrchestrationResult", "StorageConfiguration",
        "QueueFilter", "WorkQueueHealthPolicy", "Edge", "EngineOrders",
        # registration, claiming and leases: paths of Headway's own
        "Adoption", "AttemptRef", "AttemptReport", "AttemptReportReply", "Claim", "ClaimReply", "ClaimRequest",
        "AttemptReportOf", "AttemptReportResult", "Backlog", "ReportRequest",
        "LostAttempt", "RenewReply", "RenewRequest", "StopOrder", "WorkerRegister", "WorkerRegistered",
        # parts of bodies that are told apart by a tag, and of events
        "ConstantInput", "FlowRunInputRef", "ParameterInput", "TaskRunRef",
        "IncomingEvent", "ReportedState", "ReportedTaskRun", "TaskRunPayload",
    }  # fmt: skip
    modules = (admin, deployments, events, flow_runs, flows, graph, logs, states, task_runs, work_pools, work_queues,
               workers)  # fmt: skip
    exported = {
        name
        for module in modules
        for name in module.__all__
        if isinstance(getattr(module, name), type) and issubclass(getattr(module, name), msgspec.Struct)
    }
    held = {struct.__name__ for struct, _, _ in [*REQUESTS, *REPLIES]}
    assert exported - held - ours_alone == set()
