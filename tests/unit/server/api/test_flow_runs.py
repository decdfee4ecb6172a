"""Flow runs over HTTP: made once, read with everything that belongs to them, changed, counted, deleted."""

from __future__ import annotations

from uuid import uuid4

import pytest

from headway.core.ids import new_id

TEMPLATE = {
    "job_configuration": {"command": "{{ command }}", "env": "{{ env }}"},
    "variables": {"type": "object", "properties": {"command": {"type": "string"}, "env": {"type": "object"}}},
}


@pytest.fixture
def flow_id(asker) -> str:
    return asker.post("/flows/", {"name": "etl", "labels": {"team": "data"}}).body["id"]


@pytest.fixture
def make(asker, flow_id):
    def made(name: str = "run", **more):
        return asker.post("/flow_runs/", {"flow_id": flow_id, "name": name, **more})

    return made


def test_a_new_run_has_its_first_state_and_the_labels_of_its_flow(asker, make, flow_id) -> None:
    answer = make("first", state={"type": "SCHEDULED"}, parameters={"day": 1}, labels={"own": 1}, tags=["a"])
    assert answer.status == 201
    run = answer.body
    assert run == asker.get(f"/flow_runs/{run['id']}").body
    assert (run["name"], run["parameters"], run["tags"]) == ("first", {"day": 1}, ["a"])
    assert (run["state_type"], run["state"]["name"], run["state"]["id"]) == ("SCHEDULED", "Scheduled", run["state_id"])
    assert run["labels"] == {"team": "data", "prefect.flow.id": flow_id, "own": 1}
    now = asker.clock.now().isoformat().replace("+00:00", "Z")
    assert run["expected_start_time"] == run["next_scheduled_start_time"] == now


def test_a_run_without_a_state_is_pending_and_one_without_a_name_gets_one(asker, flow_id) -> None:
    run = asker.post("/flow_runs/", {"flow_id": flow_id}).body
    assert run["state_type"] == "PENDING"
    assert len(run["name"].split("-")) == 2


def test_an_idempotency_key_or_an_own_id_makes_repeating_safe(asker, make) -> None:
    first, again = make(idempotency_key="k"), make("other", idempotency_key="k")
    assert (first.status, again.status) == (201, 200)
    assert again.body == first.body
    own = str(new_id())
    assert [make(id=own).status, make(id=own).status] == [201, 200]
    assert asker.post("/flow_runs/count").body == 2


def test_a_run_for_a_pool_is_put_into_its_default_queue_or_the_one_named(asker, make) -> None:
    asker.post("/work_pools/", {"name": "p", "type": "process", "base_job_template": TEMPLATE})
    asker.post("/work_pools/p/queues", {"name": "fast"})
    by_default, named = make(work_pool_name="p").body, make(work_pool_name="p", work_queue_name="fast").body
    assert [run["work_queue_name"] for run in (by_default, named)] == ["default", "fast"]
    assert by_default["work_pool_name"] == "p"
    assert by_default["work_queue_id"] != named["work_queue_id"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"flow_id": str(uuid4())}, 404, "Flow "),
        ({"work_pool_name": "nowhere"}, 404, "Work pool 'nowhere' not found."),
        ({"work_pool_name": "p", "work_queue_name": "none"}, 404, "Work queue 'none' not found in work pool 'p'."),
        ({"work_pool_name": "p", "job_variables": {"cpu": 1}}, 422, "cpu"),
        ({"work_pool_name": "p", "job_variables": {"command": 1}}, 422, "command"),
        ({"naem": "x"}, 422, "Unknown field 'naem'"),
        ({"state": {"type": "SLEEPING"}}, 422, "SLEEPING"),
    ],
)
def test_a_run_that_cannot_be_made_is_refused_with_the_reason(make, asker, body, status, words) -> None:
    asker.post("/work_pools/", {"name": "p", "type": "process", "base_job_template": TEMPLATE})
    refused = make(**body)
    assert refused.status == status
    assert words in str(refused.body)
    assert asker.post("/flow_runs/count").body == 0


def test_an_update_changes_what_it_names_and_nothing_else(asker, make) -> None:
    run = make("before", tags=["kept"], state={"type": "PENDING"}).body
    asker.clock.advance(5)
    assert asker.patch(f"/flow_runs/{run['id']}", {"name": "after", "infrastructure_pid": "host:42"}).status == 204
    policy = {"retries": 3, "retry_delay": 10}
    assert asker.patch(f"/flow_runs/{run['id']}", {"empirical_policy": policy}).status == 204
    after = asker.get(f"/flow_runs/{run['id']}").body
    assert (after["name"], after["infrastructure_pid"], after["tags"]) == ("after", "host:42", ["kept"])
    assert (after["empirical_policy"]["retries"], after["empirical_policy"]["retry_delay"]) == (3, 10)
    assert after["updated"] > run["updated"]
    assert after["state"] == run["state"]


def test_an_update_of_a_field_that_does_not_exist_is_refused_by_name(asker, make) -> None:
    run = make().body
    refused = asker.patch(f"/flow_runs/{run['id']}", {"state_type": "COMPLETED"})
    assert refused.status == 422
    assert refused.body["exception_detail"][0]["loc"] == ["body", "state_type"]


def test_job_variables_can_be_changed_only_while_a_deployments_run_waits(asker, make, flow_id) -> None:
    asker.post("/work_pools/", {"name": "p", "type": "process", "base_job_template": TEMPLATE})
    body = {"flow_id": flow_id, "name": "d", "work_pool_name": "p", "entrypoint": "f.py:etl"}
    deployment = asker.post("/deployments/", body).body
    run = asker.post(f"/deployments/{deployment['id']}/create_flow_run", {}).body
    path = f"/flow_runs/{run['id']}"
    assert asker.patch(path, {"job_variables": {"command": "ls"}}).status == 204
    assert asker.get(path).body["job_variables"] == {"command": "ls"}
    assert asker.patch(path, {"job_variables": {"cpu": 1}}).status == 422
    assert (
        asker.patch(f"/flow_runs/{make(state={'type': 'SCHEDULED'}).body['id']}", {"job_variables": {}}).status == 400
    )
    asker.post(f"{path}/set_state", {"state": {"type": "PENDING"}})
    refused = asker.patch(path, {"job_variables": {"command": "ls"}})
    assert refused.status == 400
    assert "PENDING" in refused.body["detail"]


def test_labels_are_added_to_those_that_are_there(asker, make) -> None:
    run = make(labels={"a": 1, "b": 2}).body
    assert asker.patch(f"/flow_runs/{run['id']}/labels", {"b": 3, "c": True}).status == 204
    labels = asker.get(f"/flow_runs/{run['id']}").body["labels"]
    assert {key: labels[key] for key in "abc"} == {"a": 1, "b": 3, "c": True}
    assert asker.patch(f"/flow_runs/{run['id']}/labels", {"b": {"nested": 1}}).status == 422
    assert asker.get(f"/flow_runs/{run['id']}").body["labels"] == labels


def test_runs_are_filtered_sorted_paged_and_counted_alike(asker, make) -> None:
    for name in ("c", "a", "b"):
        make(name, tags=["x"] if name != "b" else [])
    chosen = {"flow_runs": {"tags": {"all_": ["x"]}}, "sort": "NAME_ASC"}
    assert [run["name"] for run in asker.post("/flow_runs/filter", chosen).body] == ["a", "c"]
    assert asker.post("/flow_runs/count", {"flow_runs": {"tags": {"all_": ["x"]}}}).body == 2
    page = asker.post("/flow_runs/paginate", {**chosen, "limit": 1, "page": 2}).body
    assert [run["name"] for run in page.pop("results")] == ["c"]
    assert page == {"count": 2, "limit": 1, "pages": 2, "page": 2}
    assert asker.post("/flow_runs/filter", {"limit": 201}).status == 422


def test_a_deleted_run_takes_its_states_task_runs_and_logs_along(asker, make) -> None:
    run = make().body
    task = asker.post("/task_runs/", {"flow_run_id": run["id"], "task_key": "t", "dynamic_key": "0"}).body
    line = {"name": "x", "level": 20, "message": "m", "timestamp": "2026-01-15T12:00:00Z", "flow_run_id": run["id"]}
    asker.post("/logs/", [line])
    assert asker.delete(f"/flow_runs/{run['id']}").status == 204
    for path in (f"/flow_runs/{run['id']}", f"/flow_run_states/{run['state_id']}", f"/task_runs/{task['id']}"):
        assert asker.get(path).status == 404
    assert asker.post("/logs/filter").body == []
    assert asker.delete(f"/flow_runs/{run['id']}").status == 404


def test_bulk_delete_answers_with_the_ids_it_deleted(asker, make) -> None:
    doomed = {make("doomed").body["id"] for _ in range(3)}
    make("kept")
    answer = asker.post("/flow_runs/bulk_delete", {"flow_runs": {"name": {"any_": ["doomed"]}}})
    assert set(answer.body["deleted"]) == doomed
    assert [run["name"] for run in asker.post("/flow_runs/filter").body] == ["kept"]


def test_states_are_listed_in_the_order_they_were_entered(asker, make) -> None:
    run = make().body
    for type in ("RUNNING", "COMPLETED"):
        asker.clock.advance(1)
        asker.post(f"/flow_runs/{run['id']}/set_state", {"state": {"type": type}})
    states = asker.get(f"/flow_run_states/?flow_run_id={run['id']}").body
    assert [state["type"] for state in states] == ["PENDING", "RUNNING", "COMPLETED"]
    assert asker.get(f"/flow_run_states/{states[1]['id']}").body == states[1]
    assert asker.get(f"/flow_run_states/{uuid4()}").status == 404
    assert asker.get("/flow_run_states/").status == 422


def test_run_time_and_lateness_are_estimated_as_of_now(asker, make) -> None:
    run = make(state={"type": "SCHEDULED"}).body
    path = f"/flow_runs/{run['id']}"
    asker.clock.advance(7)
    assert asker.get(path).body["estimated_start_time_delta"] == 7.0
    asker.post(f"{path}/set_state", {"state": {"type": "PENDING"}})
    asker.post(f"{path}/set_state", {"state": {"type": "RUNNING"}})
    asker.clock.advance(3)
    running = asker.get(path).body
    assert running["total_run_time"] == 0.0
    assert running["estimated_run_time"] == pytest.approx(3, abs=0.001)
    assert running["estimated_start_time_delta"] == pytest.approx(7, abs=0.001)
    asker.post(f"{path}/set_state", {"state": {"type": "COMPLETED"}})
    asker.clock.advance(100)
    ended = asker.get(path).body
    assert ended["estimated_run_time"] == ended["total_run_time"] == pytest.approx(3, abs=0.001)


def test_inputs_are_kept_by_key_until_they_are_deleted(asker, make) -> None:
    path = f"/flow_runs/{make().body['id']}/input"
    assert asker.post(path, {"key": "ask-1", "value": '{"a": 1}', "sender": "me"}).status == 201
    assert asker.post(path, {"key": "ask-1", "value": "again"}).status == 409
    asker.clock.advance(1)
    asker.post(path, {"key": "ask-2", "value": "two"})
    asker.post(path, {"key": "tell_%", "value": "three"})
    assert asker.get(f"{path}/ask-1").body == '{"a": 1}'
    found = asker.post(f"{path}/filter", {"prefix": "ask", "limit": 5}).body
    assert [(one["key"], one["value"], one["sender"]) for one in found] == [
        ("ask-1", '{"a": 1}', "me"),
        ("ask-2", "two", None),
    ]
    assert asker.post(f"{path}/filter", {"prefix": "tell_%"}).body[0]["value"] == "three"
    assert asker.post(f"{path}/filter", {"prefix": "_sk"}).body == []
    rest = asker.post(f"{path}/filter", {"prefix": "ask", "limit": 5, "exclude_keys": ["ask-1"]}).body
    assert [one["key"] for one in rest] == ["ask-2"]
    assert asker.delete(f"{path}/ask-1").status == 204
    assert asker.get(f"{path}/ask-1").status == asker.delete(f"{path}/ask-1").status == 404


def test_an_input_needs_a_run(asker) -> None:
    assert asker.post(f"/flow_runs/{uuid4()}/input", {"key": "k", "value": "v"}).status == 404


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_run_that_does_not_exist_is_404(asker, method) -> None:
    missing = asker.ask(method, f"/flow_runs/{uuid4()}", {} if method == "PATCH" else None)
    assert missing.status == 404
    assert "not found" in missing.body["detail"]
    assert asker.ask(method, "/flow_runs/not-an-id").status == 422
