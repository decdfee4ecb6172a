"""POST /task_run_reports: what Headway's engine says in place of events, and that it comes to the same."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from headway.client.calls import body_of
from headway.core.errors import CancelledRun
from headway.core.ids import new_id
from headway.core.states import StateType
from headway.sdk.records import TaskRunInfo, TaskRunRecord, portable, render, reports_of
from headway.sdk.states import State
from headway.store.tables import dead_letter

VARYING = {"id", "state_id", "flow_run_id", "created", "updated", "dynamic_key", "state"}


@pytest.fixture
def flow_run_id(asker) -> UUID:
    flow = asker.post("/flows/", {"name": "etl"}).body
    return UUID(asker.post("/flow_runs/", {"flow_id": flow["id"]}).body["id"])


def info(flow_run_id: UUID | None, key: str) -> TaskRunInfo:
    policy = {"retries": 2, "retry_delay": 1, "retry_jitter_factor": None}
    inputs = {"rows": [{"input_type": "task_run", "id": UUID(int=7)}], "day": []}
    return TaskRunInfo(new_id(), "load-0", "load-12345678", key, flow_run_id=flow_run_id, flow_run_count=1, tags=["a"],
                       task_inputs=inputs, policy=policy, version="v1")  # fmt: skip


def history(run: TaskRunInfo, start: datetime) -> list[TaskRunRecord]:
    """A task run that fails once, waits, and completes with a persisted result."""

    def at(seconds: float, type: StateType, name: str | None = None, **more: object) -> TaskRunRecord:
        return run.enter(State(type, name, timestamp=start + timedelta(seconds=seconds), **more))  # type: ignore[arg-type]

    records = [
        at(0, StateType.PENDING),
        at(1, StateType.RUNNING),
        at(3, StateType.SCHEDULED, "AwaitingRetry", message="no", details={"scheduled_time": start}),
        at(4, StateType.RUNNING, "Retrying"),
    ]
    run.cache_key = "key"
    kept = {"type": "headway.result", "storage": "/s", "storage_key": "key", "serializer": "json", "expiration": None}
    return [*records, at(6, StateType.COMPLETED, data=kept, details={"cache_key": "key", "retriable": None})]


def send(asker, records: list[TaskRunRecord]) -> None:
    body = json.loads(body_of(reports_of(records)))
    assert asker.post("/task_run_reports", body).status == 204


def read(asker, run: TaskRunInfo) -> tuple[dict, list[dict]]:
    states = asker.get(f"/task_run_states/?task_run_id={run.id}").body
    for state in states:
        state["id"] = state["state_details"]["task_run_id"] = None
    row = asker.get(f"/task_runs/{run.id}").body
    return {name: value for name, value in row.items() if name not in VARYING}, states


@pytest.mark.parametrize("cut", [0, 1, 2, 4, 5])
def test_reports_come_to_the_same_as_events_wherever_batches_are_cut(asker, flow_run_id, cut) -> None:
    told, reported = info(flow_run_id, "0"), info(flow_run_id, "1")
    events, records = history(told, asker.clock.now()), history(reported, asker.clock.now())
    assert asker.post("/events", json.loads(body_of([render(record) for record in events]))).status == 204
    for part in (records[:cut], records[cut:]):
        if part:
            send(asker, part)
    assert read(asker, reported) == read(asker, told)
    assert asker.get(f"/task_runs/{reported.id}").body["state"]["data"]["storage_key"] == "key"


def test_a_batch_may_come_again_and_in_another_order(asker, flow_run_id) -> None:
    run = info(flow_run_id, "0")
    records = history(run, asker.clock.now())
    send(asker, records[3:])
    before = asker.get(f"/task_runs/{run.id}").body
    send(asker, records[:3])
    send(asker, records)
    assert asker.get(f"/task_runs/{run.id}").body == before
    assert len(asker.get(f"/task_run_states/?task_run_id={run.id}").body) == 5


def test_a_task_run_outside_of_flows_is_known_by_its_id(asker) -> None:
    run = info(None, "0")
    records = history(run, asker.clock.now())
    send(asker, records[:2])
    send(asker, records[2:])
    shown = asker.get(f"/task_runs/{run.id}").body
    assert (shown["flow_run_id"], shown["state_type"], shown["run_count"]) == (None, "COMPLETED", 2)


def test_two_ids_for_one_key_are_one_task_run(asker, flow_run_id) -> None:
    first, second = info(flow_run_id, "0"), info(flow_run_id, "0")
    send(asker, history(first, asker.clock.now())[:2])
    asker.clock.advance(60)
    send(asker, history(second, asker.clock.now()))
    assert asker.get(f"/task_runs/{second.id}").status == 404
    assert len(asker.get(f"/task_run_states/?task_run_id={first.id}").body) == 7


SPOILED = {
    "no state": {"states": []},
    "a count that no column holds": {"run_count": 2**31},
    "an unknown flow run": {"flow_run_id": str(UUID(int=9))},
}


@pytest.mark.parametrize("spoiled", [*SPOILED, "a time of no zone"])
def test_a_bad_report_goes_to_the_dead_letters_alone(asker, flow_run_id, spoiled) -> None:
    runs = [info(flow_run_id, str(number)) for number in range(3)]
    records = [record for run in runs for record in history(run, asker.clock.now())]
    body = json.loads(body_of(reports_of(records)))
    body[1] |= SPOILED.get(spoiled, {})
    if spoiled == "a time of no zone":
        body[1]["states"][0]["timestamp"] = "2026-01-01T00:00:00"
    assert asker.post("/task_run_reports", body).status == 204
    assert [asker.get(f"/task_runs/{run.id}").status for run in runs] == [200, 404, 200]

    async def letters():
        return await asker.server.telemetry.read(lambda c: [row.payload for row in c.execute(select(dead_letter))])

    assert asker.run(letters()) == [body[1]]


def test_a_record_goes_to_another_process_without_the_values_of_its_states(flow_run_id) -> None:
    import pickle

    error = CancelledRun("no")
    error.lock = lambda: None  # type: ignore[attr-defined]  # what no pickle takes
    run = info(flow_run_id, "0")
    run.enter(State(StateType.RUNNING))
    record = run.enter(State(StateType.FAILED, None, "no", value=error))
    there = pickle.loads(pickle.dumps(portable(record)))
    assert body_of(reports_of([there])) == body_of(reports_of([record]))
