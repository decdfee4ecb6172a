"""POST /events: task runs recorded from what their engines report, whatever order and company it comes in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select

from headway.core.ids import new_id
from headway.store.tables import dead_letter, event
from headway.testing.recorded_flow import TaskRunEvents

CORPUS = Path(__file__).parents[3] / "contract" / "corpus" / "events-3.8.8.json"


@pytest.fixture
def flow_run_id(asker) -> str:
    flow = asker.post("/flows/", {"name": "etl"}).body
    return asker.post("/flow_runs/", {"flow_id": flow["id"]}).body["id"]


@pytest.fixture
def task(flow_run_id) -> TaskRunEvents:
    return TaskRunEvents(str(new_id()), "load", flow_run_id)


@pytest.fixture
def kept(asker):
    """Rows of a telemetry table."""

    def rows(table):
        async def read():
            return await asker.server.telemetry.read(
                lambda c: [dict(row) for row in c.execute(select(table)).mappings()]
            )

        return asker.run(read())

    return rows


@pytest.fixture
def three(asker, task) -> list[dict]:
    events = []
    for type in ("PENDING", "RUNNING", "COMPLETED"):
        events.append(task.enter(type, type.capitalize(), asker.clock.now()))
        asker.clock.advance(2)
    return events


def read(asker, task) -> dict:
    return asker.get(f"/task_runs/{task.id}").body


def names(asker, task) -> list[str]:
    return [state["name"] for state in asker.get(f"/task_run_states/?task_run_id={task.id}").body]


def test_a_batch_records_the_task_run_and_all_its_states(asker, task, three, flow_run_id) -> None:
    answer = asker.post("/events", three)
    assert (answer.status, answer.body) == (204, None)
    run = read(asker, task)
    assert (run["name"], run["flow_run_id"], run["tags"]) == ("load", flow_run_id, ["etl"])
    assert (run["state_type"], run["state_id"], run["run_count"]) == ("COMPLETED", three[-1]["id"], 1)
    assert (run["total_run_time"], run["estimated_start_time_delta"]) == (2.0, 2.0)
    assert run["state"]["timestamp"] == run["end_time"]
    assert run["state"]["state_details"]["task_run_id"] == task.id
    assert names(asker, task) == ["Pending", "Running", "Completed"]


def test_the_same_batch_again_changes_nothing(asker, task, three) -> None:
    asker.post("/events", three)
    before = read(asker, task)
    asker.clock.advance(60)
    asker.post("/events", [*three, *three])
    assert read(asker, task) == before
    assert names(asker, task) == ["Pending", "Running", "Completed"]


def test_events_that_come_in_another_order_lead_to_the_same_record(asker, task, three) -> None:
    for one in (three[2], three[0], three[1]):
        asker.post("/events", [one])
    assert read(asker, task)["state_type"] == "COMPLETED"
    assert names(asker, task) == ["Pending", "Running", "Completed"]


def test_a_state_that_an_engine_says_nothing_of_keeps_what_was_known(asker, task, three) -> None:
    three[0]["payload"]["task_run"]["cache_key"] = "key"
    asker.post("/events", [three[0]])
    asker.post("/events", three[1:])
    assert read(asker, task)["cache_key"] == "key"


def test_a_later_attempt_takes_the_task_run_over_and_the_older_one_never_gets_it_back(asker, flow_run_id) -> None:
    now = asker.clock.now()
    first = TaskRunEvents(str(new_id()), "load", flow_run_id)
    second = TaskRunEvents(str(new_id()), "load", flow_run_id)
    first_events = [first.enter("RUNNING", "Running", now)]
    asker.post("/events", first_events, headers={"headway-attempt": "1"})
    asker.post("/events", [second.enter("RUNNING", "Running", now)], headers={"headway-attempt": "2"})
    asker.clock.advance(30)
    late = first.enter("FAILED", "Failed", asker.clock.now())
    asker.post("/events", [late], headers={"headway-attempt": "1"})
    assert read(asker, first)["state_type"] == "RUNNING"
    asker.post("/events", [second.enter("COMPLETED", "Completed", now)], headers={"headway-attempt": "2"})
    assert read(asker, first)["state_type"] == "RUNNING"  # not later than the state before it
    done = second.enter("COMPLETED", "Completed", asker.clock.now())
    asker.post("/events", [done], headers={"headway-attempt": "2"})
    run = read(asker, first)
    assert (run["state_type"], run["state_id"]) == ("COMPLETED", done["id"])
    assert late["id"] in [state["id"] for state in asker.get(f"/task_run_states/?task_run_id={first.id}").body]


def claim(asker, worker: dict) -> dict:
    body = {"claim_id": str(new_id()), "worker_id": worker["worker_id"], "limit": 1}
    (claimed,) = asker.post("/work_pools/p/claim", body).body["claims"]
    return claimed


def test_an_attempt_that_has_a_successor_adds_to_the_history_and_changes_nothing(asker) -> None:
    asker.post("/work_pools/", {"name": "p", "type": "process"})
    flow = asker.post("/flows/", {"name": "etl"}).body
    deployment = {"flow_id": flow["id"], "name": "d", "work_pool_name": "p", "entrypoint": "f.py:etl"}
    deployment = asker.post("/deployments/", deployment).body
    policy = {"empirical_policy": {"retries": 1, "retry_delay": 0}}
    run = asker.post(f"/deployments/{deployment['id']}/create_flow_run", policy).body
    worker = asker.post("/work_pools/p/workers", {"type": "process", "name": "w"}).body
    first = claim(asker, worker)
    only = TaskRunEvents(str(new_id()), "only in the first", run["id"])
    asker.post("/events", [only.enter("RUNNING", "Running", asker.clock.now())], headers={"headway-attempt": "1"})
    asker.post(f"/flow_runs/{run['id']}/attempts/1/report", {"token": first["token"], "event": "ended", "signal": 9})
    asker.clock.advance(1)
    assert claim(asker, worker)["attempt"] == 2
    crashed = read(asker, only)
    late = only.enter("COMPLETED", "Completed", asker.clock.now())
    new = TaskRunEvents(str(new_id()), "never heard of", run["id"])
    batch = [late, new.enter("COMPLETED", "Completed", asker.clock.now())]
    assert asker.post("/events", batch, headers={"headway-attempt": "1"}).status == 204
    assert crashed["state_type"] == "CRASHED"
    assert read(asker, only) == crashed
    assert names(asker, only)[-1] == "Completed"
    assert read(asker, new)["state_type"] == "COMPLETED"


def broken(event: dict, **changes: object) -> dict:
    """A copy with another id that nobody can use."""
    copy = json.loads(json.dumps(event))
    return {**copy, "id": str(new_id()), **changes}


def recounted(event: dict, count: int) -> dict:
    task_run = {**event["payload"]["task_run"], "run_count": count}
    return broken(event, payload={**event["payload"], "task_run": task_run})


def orphan(event: dict) -> dict:
    related = [{"prefect.resource.role": "flow-run", "prefect.resource.id": f"prefect.flow-run.{new_id()}"}]
    return broken(event, related=related)


BAD = {
    "no payload": (lambda event: broken(event, payload={}), "validated_state"),
    "a state that is none": (
        lambda event: broken(event, payload={**event["payload"], "validated_state": {"type": "ASLEEP"}}),
        "ASLEEP",
    ),
    "no id of a task run": (
        lambda event: broken(event, resource={**event["resource"], "prefect.resource.id": "prefect.task-run.7"}),
        "prefect.task-run.7",
    ),
    "an unknown flow run": (orphan, "does not exist"),
    "a count that no column holds": (lambda event: recounted(event, 2**31), "run_count"),
    "no time": (lambda event: {**broken(event), "occurred": "yesterday"}, "RFC3339"),
    "not an object": (lambda event: 7, "object"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_event_goes_to_the_dead_letters_alone(asker, kept, task, three, what) -> None:
    spoil, reason = BAD[what]
    bad = spoil(three[1])
    assert asker.post("/events", [three[0], bad, three[2]]).status == 204
    assert read(asker, task)["state_type"] == "COMPLETED"
    assert names(asker, task) == ["Pending", "Completed"]
    (letter,) = kept(dead_letter)
    assert letter["payload"] == bad
    assert reason in letter["reason"]


def test_what_the_database_refuses_goes_to_the_dead_letters_alone(asker, kept, task, three, flow_run_id) -> None:
    asker.post("/events", three[:1])
    thief = TaskRunEvents(task.id, "thief", flow_run_id)  # another task run that says it has the same id
    stolen = thief.enter("RUNNING", "Running", asker.clock.now())
    others = [TaskRunEvents(str(new_id()), f"other-{n}", flow_run_id) for n in range(5)]
    batch = [other.enter("RUNNING", "Running", asker.clock.now()) for other in others]
    assert asker.post("/events", [*batch[:3], stolen, *batch[3:], three[2]]).status == 204
    assert [letter["payload"]["id"] for letter in kept(dead_letter)] == [stolen["id"]]
    assert all(read(asker, other)["state_type"] == "RUNNING" for other in others)
    assert (read(asker, task)["name"], read(asker, task)["state_type"]) == ("load", "COMPLETED")


def test_a_body_that_is_no_list_is_refused(asker) -> None:
    assert asker.post("/events", {"id": 1}).status == 422


def other_event(**more: object) -> dict:
    return {
        "id": str(new_id()),
        "occurred": "2026-01-15T12:00:00Z",
        "event": "autoloader.file.rejected",
        "resource": {"prefect.resource.id": "file.a.csv"},
        "payload": {"rows": 3},
        **more,
    }


def test_other_events_are_kept_once(asker, kept) -> None:
    one = other_event()
    asker.post("/events", [one, other_event(event="another")])
    asker.post("/events", [one])
    rows = {row["event"]: row for row in kept(event)}
    assert set(rows) == {"autoloader.file.rejected", "another"}
    row = rows["autoloader.file.rejected"]
    assert (str(row["id"]), row["resource_id"], row["payload"]) == (one["id"], "file.a.csv", {"rows": 3})


def test_an_event_that_is_a_state_already_is_not_kept_twice(asker, kept, three, flow_run_id) -> None:
    asker.post("/events", three)
    state_id = asker.get(f"/flow_runs/{flow_run_id}").body["state_id"]
    told = {"event": "prefect.flow-run.Pending", "resource": {"prefect.resource.id": f"prefect.flow-run.{flow_run_id}"}}
    asker.post("/events", [other_event(id=state_id, **told), other_event(**told)])
    assert [row["id"] != state_id for row in kept(event)] == [True]


def test_the_events_a_stock_client_sent_are_understood(asker, kept) -> None:
    events = json.loads(CORPUS.read_text())
    flow = asker.post("/flows/", {"name": "corpus-flow"}).body["id"]
    runs = {
        related["prefect.resource.id"].removeprefix("prefect.flow-run.")
        for one in events
        for related in one["related"]
        if related["prefect.resource.role"] == "flow-run"
    }
    for id in runs:
        asker.post("/flow_runs/", {"flow_id": flow, "id": id})
    assert asker.post("/events", events).status == 204
    assert kept(dead_letter) == []
    reported = [one for one in events if one["event"].startswith("prefect.task-run.")]
    assert reported
    for one in reported:
        state = asker.get(f"/task_run_states/{one['id']}").body
        assert state["type"] == one["resource"]["prefect.state-type"]
        assert state["name"] == one["resource"]["prefect.state-name"]
    assert len(kept(event)) == len(events) - len(reported)
