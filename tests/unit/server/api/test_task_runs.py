"""Task runs made over REST, and reading all of them."""

from __future__ import annotations

from uuid import uuid4

import pytest


@pytest.fixture
def flow_run(asker) -> dict:
    flow = asker.post("/flows/", {"name": "etl"}).body
    return asker.post("/flow_runs/", {"flow_id": flow["id"], "labels": {"own": 1}}).body


@pytest.fixture
def make(asker, flow_run):
    def made(key: str = "t", **more):
        return asker.post("/task_runs/", {"flow_run_id": flow_run["id"], "task_key": key, "dynamic_key": "0", **more})

    return made


def test_a_task_run_is_made_once_per_flow_run_and_key(asker, make, flow_run) -> None:
    first, again = make(name="load"), make(name="other")
    assert (first.status, again.status) == (201, 200)
    assert again.body == first.body == asker.get(f"/task_runs/{first.body['id']}").body
    run = first.body
    assert (run["name"], run["state_type"], run["state"]["id"]) == ("load", "PENDING", run["state_id"])
    assert run["labels"] == {**flow_run["labels"], "prefect.flow-run.id": flow_run["id"]}
    details = run["state"]["state_details"]
    assert (details["task_run_id"], details["flow_run_id"]) == (run["id"], flow_run["id"])


def test_a_task_run_of_no_flow_run_is_known_by_its_keys(asker) -> None:
    body = {"task_key": "delayed", "dynamic_key": "7", "state": {"type": "SCHEDULED"}}
    first, again = asker.post("/task_runs/", body), asker.post("/task_runs/", body)
    assert (first.status, again.status) == (201, 200)
    assert first.body["id"] == again.body["id"]
    assert first.body["next_scheduled_start_time"] == first.body["expected_start_time"]
    assert first.body["name"] == "delayed-7"


def test_inputs_and_policy_come_back_as_they_were_given(make) -> None:
    inputs = {
        "a": [{"input_type": "task_run", "id": str(uuid4())}],
        "b": [{"input_type": "parameter", "name": "day"}, {"input_type": "constant", "type": "int"}],
        "c": [{"input_type": "flow_run", "id": str(uuid4())}],
    }
    run = make(task_inputs=inputs, empirical_policy={"retries": 2, "retry_delay": [1, 2]}).body
    assert run["task_inputs"] == inputs
    assert (run["empirical_policy"]["retries"], run["empirical_policy"]["retry_delay"]) == (2, [1, 2])


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        ({"flow_run_id": str(uuid4())}, 404, "Flow run "),
        ({"task_inputs": {"a": [{"input_type": "dream"}]}}, 422, "dream"),
        ({"parameters": {}}, 422, "Unknown field 'parameters'"),
    ],
)
def test_a_task_run_that_cannot_be_made_is_refused_with_the_reason(asker, make, more, status, words) -> None:
    refused = make(**more)
    assert refused.status == status
    assert words in str(refused.body)
    assert asker.post("/task_runs/count").body == 0


def test_task_runs_are_renamed_and_deleted(asker, make) -> None:
    path = f"/task_runs/{make().body['id']}"
    assert asker.patch(path, {"name": "better"}).status == 204
    assert asker.get(path).body["name"] == "better"
    assert asker.delete(path).status == 204
    assert asker.get(path).status == asker.delete(path).status == asker.patch(path, {"name": "x"}).status == 404


def test_task_runs_are_filtered_paged_and_counted_with_their_flow_runs(asker, make, flow_run) -> None:
    for key in ("a", "b", "c"):
        make(key, name=key, state={"type": "RUNNING" if key == "b" else "PENDING"})
    other = {"task_key": "elsewhere", "dynamic_key": "0"}
    asker.post("/task_runs/", other)
    mine = {"flow_runs": {"id": {"any_": [flow_run["id"]]}}}
    assert asker.post("/task_runs/count", mine).body == 3
    running = {"task_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    found = asker.post("/task_runs/filter", running).body
    assert [(run["name"], run["state"]["type"]) for run in found] == [("b", "RUNNING")]
    page = asker.post("/task_runs/paginate", {**mine, "sort": "NAME_DESC", "limit": 2, "page": 2}).body
    assert [run["name"] for run in page["results"]] == ["a"]
    assert (page["count"], page["pages"], page["page"], page["limit"]) == (3, 2, 2, 2)
    assert "run_count" not in page["results"][0]


def test_states_of_task_runs_are_read_by_id_and_by_run(asker, make) -> None:
    run = make().body
    asker.clock.advance(1)
    asker.post(f"/task_runs/{run['id']}/set_state", {"state": {"type": "RUNNING"}, "force": True})
    states = asker.get(f"/task_run_states/?task_run_id={run['id']}").body
    assert [state["type"] for state in states] == ["PENDING", "RUNNING"]
    assert asker.get(f"/task_run_states/{states[0]['id']}").body == states[0]
    assert asker.get(f"/task_run_states/{uuid4()}").status == 404
