"""Bodies recorded between the reference's client and server (3.8.8) fit the wire types.

Each corpus file holds one JSON object per line. Requests must decode strictly; replies must decode and
encode again with the reference's keys, plus only the ones listed here as Headway's own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headway.wire import deployments, events, flow_runs, flows, logs, task_runs, work_pools, work_queues, workers
from headway.wire.base import Labels, encode
from headway.wire.states import OrchestrationResult, SetState, State

CORPUS = Path(__file__).parent / "corpus"
REQUESTS: dict[str, Any] = {
    "POST /flows/": flows.FlowCreate,
    "POST /flows/filter": flows.FlowQuery,
    "POST /flow_runs/": flow_runs.FlowRunCreate,
    "POST /flow_runs/count": flow_runs.FlowRunCount,
    "POST /flow_runs/filter": flow_runs.FlowRunQuery,
    "POST /flow_runs/{id}/input": flow_runs.FlowRunInputCreate,
    "POST /flow_runs/{id}/input/filter": flow_runs.FlowRunInputQuery,
    "POST /flow_runs/{id}/resume": flow_runs.ResumeFlowRun,
    "POST /flow_runs/{id}/set_state": SetState,
    "PATCH /flow_runs/{id}": flow_runs.FlowRunUpdate,
    "PATCH /flow_runs/{id}/labels": Labels,
    "POST /task_runs/": task_runs.TaskRunCreate,
    "POST /task_runs/filter": task_runs.TaskRunQuery,
    "POST /task_runs/{id}/set_state": SetState,
    "POST /deployments/": deployments.DeploymentCreate,
    "PATCH /deployments/{id}": deployments.DeploymentUpdate,
    "POST /deployments/filter": deployments.DeploymentQuery,
    "POST /deployments/get_scheduled_flow_runs": deployments.ScheduledRunsOfDeployments,
    "POST /deployments/{id}/create_flow_run": deployments.DeploymentFlowRunCreate,
    "POST /deployments/{id}/schedules": list[deployments.DeploymentScheduleCreate],
    "PATCH /deployments/{id}/schedules/{schedule_id}": deployments.DeploymentScheduleUpdate,
    "POST /work_pools/": work_pools.WorkPoolCreate,
    "PATCH /work_pools/{name}": work_pools.WorkPoolUpdate,
    "POST /work_pools/filter": work_pools.WorkPoolQuery,
    "POST /work_pools/{name}/concurrency_status": work_pools.WorkPoolConcurrencyQuery,
    "POST /work_pools/{name}/get_scheduled_flow_runs": work_pools.ScheduledRunsOfPool,
    "POST /work_pools/{name}/queues": work_queues.WorkQueueCreate,
    "POST /work_pools/{name}/queues/filter": work_queues.WorkQueueQuery,
    "POST /work_pools/{name}/workers/filter": workers.WorkerQuery,
    "POST /work_pools/{name}/workers/heartbeat": workers.WorkerHeartbeat,
    "POST /work_queues/": work_queues.WorkQueueCreate,
    "PATCH /work_queues/{id}": work_queues.WorkQueueUpdate,
    "POST /work_queues/{id}/get_runs": work_queues.ScheduledRunsOfQueue,
    "POST /logs/": list[logs.LogCreate],
    "POST /logs/filter": logs.LogQuery,
}
REPLIES: dict[str, Any] = {
    "GET /admin/version": str,
    "GET /health": bool,
    "GET /hello": str,
    "POST /flows/": flows.Flow,
    "GET /flows/{id}": flows.Flow,
    "GET /flows/name/{name}": flows.Flow,
    "POST /flows/filter": list[flows.Flow],
    "POST /flow_runs/": flow_runs.FlowRun,
    "GET /flow_runs/{id}": flow_runs.FlowRun,
    "POST /flow_runs/count": int,
    "POST /flow_runs/filter": list[flow_runs.FlowRun],
    "POST /flow_runs/{id}/input/filter": list[flow_runs.FlowRunInput],
    "GET /flow_runs/{id}/input/{key}": Any,
    "POST /flow_runs/{id}/resume": OrchestrationResult,
    "POST /flow_runs/{id}/set_state": OrchestrationResult,
    "GET /flow_run_states/": list[State],
    "GET /task_run_states/": list[State],
    "POST /task_runs/": task_runs.TaskRun,
    "GET /task_runs/{id}": task_runs.TaskRun,
    "POST /task_runs/filter": list[task_runs.TaskRun],
    "POST /task_runs/{id}/set_state": OrchestrationResult,
    "POST /deployments/": deployments.Deployment,
    "GET /deployments/{id}": deployments.Deployment,
    "GET /deployments/name/{name}/{deployment_name}": deployments.Deployment,
    "POST /deployments/filter": list[deployments.Deployment],
    "POST /deployments/get_scheduled_flow_runs": list[flow_runs.FlowRun],
    "POST /deployments/{id}/create_flow_run": flow_runs.FlowRun,
    "GET /deployments/{id}/schedules": list[deployments.DeploymentSchedule],
    "POST /deployments/{id}/schedules": list[deployments.DeploymentSchedule],
    "POST /work_pools/": work_pools.WorkPool,
    "GET /work_pools/{name}": work_pools.WorkPool,
    "POST /work_pools/filter": list[work_pools.WorkPool],
    "POST /work_pools/{name}/concurrency_status": work_pools.WorkPoolConcurrency,
    "POST /work_pools/{name}/get_scheduled_flow_runs": list[work_pools.ScheduledRun],
    "POST /work_pools/{name}/queues": work_queues.WorkQueue,
    "GET /work_pools/{name}/queues/{queue}": work_queues.WorkQueue,
    "POST /work_pools/{name}/queues/filter": list[work_queues.WorkQueue],
    "POST /work_pools/{name}/workers/filter": list[workers.Worker],
    "POST /work_queues/": work_queues.WorkQueue,
    "GET /work_queues/{id}": work_queues.WorkQueue,
    "GET /work_queues/{id}/status": work_queues.WorkQueueHealth,
    "POST /work_queues/{id}/get_runs": list[flow_runs.FlowRun],
    "POST /logs/filter": list[logs.Log],
}
OWN = {
    "attempt",
    "retries",
    "retry_delay",
    "retry_on_crash",
    "type",
    "work_queues",
    "limit",
    "flow_run_ids",
    "work_pool_id",
    "work_pool_name",
}
"""Keys that Headway's replies may have beyond the reference's."""


def recorded(name: str) -> list[Any]:
    entries: list[Any] = json.loads((CORPUS / f"{name}-3.8.8.json").read_text())
    return [pytest.param(entry, id=f"{number}-{entry.get('method')}-{entry.get('path')}") for number, entry in
            enumerate(entries)]  # fmt: skip


def route(entry: dict[str, Any]) -> str:
    return f"{entry['method']} {entry['path']}"


@pytest.mark.parametrize("entry", recorded("requests"))
def test_a_body_the_reference_client_sends_is_accepted(entry: dict[str, Any]) -> None:
    body = msgspec.json.decode(json.dumps(entry["body"]), type=REQUESTS[route(entry)])
    assert body is not None


@pytest.mark.parametrize("entry", recorded("replies"))
def test_a_body_the_reference_server_answers_has_our_keys(entry: dict[str, Any]) -> None:
    body = msgspec.json.decode(json.dumps(entry["body"]), type=REPLIES[route(entry)])
    compare(entry["body"], json.loads(encode(body)), "$")


@pytest.mark.parametrize("entry", recorded("events"))
def test_an_event_the_reference_client_sends_is_accepted_and_kept_whole(entry: dict[str, Any]) -> None:
    event = msgspec.json.decode(json.dumps(entry), type=events.Event)
    again = json.loads(encode(event))
    assert {key: again[key] for key in ("id", "event", "resource", "related", "payload")} == {
        key: entry[key] for key in ("id", "event", "resource", "related", "payload")
    }


def compare(theirs: Any, ours: Any, path: str) -> None:
    """Same keys and same kinds of values all the way down; free-form JSON is the same by nature."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        assert not set(theirs) - set(ours), (path, "missing")
        assert not set(ours) - set(theirs) - OWN, (path, "extra")
        for key, value in theirs.items():
            compare(value, ours[key], f"{path}.{key}")
    elif isinstance(theirs, list) and isinstance(ours, list):
        assert len(theirs) == len(ours), path
        for index, value in enumerate(theirs):
            compare(value, ours[index], f"{path}[{index}]")
    else:
        assert kind(theirs) == kind(ours), (path, theirs, ours)


def kind(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(type(value))
    return "number" if isinstance(value, int | float) else str(type(value))
