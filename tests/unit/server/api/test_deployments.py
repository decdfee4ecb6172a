"""/deployments: checked when made, changed whole or in parts, moved with their waiting runs, deleted with care."""

from __future__ import annotations

from typing import Any

import pytest

TEMPLATE = {
    "job_configuration": {"image": "{{ image }}", "cpu": "{{ cpu }}"},
    "variables": {
        "type": "object",
        "properties": {"image": {"type": "string"}, "cpu": {"type": "integer", "default": 1}},
    },
}
PARAMETERS = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "limit": {"type": "integer"}},
    "required": ["path"],
}
HOURLY = {"schedule": {"cron": "30 * * * *"}}


@pytest.fixture
def flow(asker) -> str:
    return asker.post("/flows/", {"name": "etl"}).body["id"]


@pytest.fixture
def pool(asker) -> str:
    asker.post("/work_pools/", {"name": "p", "type": "abacus", "base_job_template": TEMPLATE})
    return "p"


@pytest.fixture
def make(asker, flow, pool):
    def deploy(name: str = "nightly", **fields: Any) -> dict[str, Any]:
        reply = asker.post("/deployments/", {"name": name, "flow_id": flow, "work_pool_name": pool, **fields})
        assert reply.status in (200, 201), reply.body
        return reply.body

    return deploy


@pytest.fixture
def plan(asker):
    """One pass of the scheduler."""
    return lambda: asker.run(asker.server.scheduler.run_once())


def runs_of(asker, id: str) -> list[dict[str, Any]]:
    body = {"flow_runs": {"deployment_id": {"any_": [id]}}, "sort": "EXPECTED_START_TIME_ASC"}
    return asker.post("/flow_runs/filter", body).body


def fault(reply) -> tuple[int, list[Any], str]:
    (one,) = reply.body["exception_detail"]
    return reply.status, one["loc"], one["msg"]


# --- making ---


def test_a_new_deployment_is_answered_whole_and_found_by_id_and_name(asker, make) -> None:
    made = make(parameters={"path": "/in"}, schedules=[HOURLY], tags=["a", "a"], concurrency_limit=2)
    assert made["work_queue_name"] == "default"
    assert made["tags"] == ["a"]
    assert made["schedules"][0]["schedule"] == {"cron": "30 * * * *", "timezone": None, "day_or": True}
    assert made["global_concurrency_limit"]["limit"] == 2
    assert asker.get(f"/deployments/{made['id']}").body == made
    assert asker.get("/deployments/name/etl/nightly").body == made


def test_deploying_again_changes_the_same_deployment_and_keeps_it_paused(asker, make, plan, flow, pool) -> None:
    first = make(schedules=[HOURLY], parameters={"x": 1}, version="1")
    assert plan() == 3
    asker.post(f"/deployments/{first['id']}/pause_deployment")
    again = asker.post(
        "/deployments/",
        {
            "name": "nightly",
            "flow_id": flow,
            "work_pool_name": pool,
            "version": "2",
            "schedules": [{"schedule": {"interval": 7200, "anchor_date": "2026-01-01T00:00:00Z"}}],
        },
    )
    assert (again.status, again.body["id"], again.body["version"]) == (200, first["id"], "2")
    assert again.body["paused"] is True
    assert again.body["parameters"] == {}
    asker.post(f"/deployments/{first['id']}/resume_deployment")
    assert plan() == 3
    due = [run["expected_start_time"] for run in runs_of(asker, first["id"])]
    assert due == ["2026-01-15T12:00:00Z", "2026-01-15T14:00:00Z", "2026-01-15T16:00:00Z"]


def test_a_named_queue_is_made_if_the_pool_does_not_have_it(asker, make) -> None:
    assert make(work_queue_name="priority")["work_queue_name"] == "priority"
    assert asker.get("/work_pools/p/queues/priority").status == 200


def test_unknown_flow_pool_and_name_are_not_found_and_the_nearest_is_suggested(asker, make, flow) -> None:
    make("nightly")
    unknown = "00000000-0000-0000-0000-000000000001"
    reply = asker.post("/deployments/", {"name": "x", "flow_id": unknown})
    assert (reply.status, unknown in reply.body["detail"]) == (404, True)
    reply = asker.post("/deployments/", {"name": "x", "flow_id": flow, "work_pool_name": "pp"})
    assert (reply.status, "Did you mean 'p'?" in reply.body["detail"]) == (404, True)
    reply = asker.get("/deployments/name/etl/nihgtly")
    assert (reply.status, "Did you mean 'etl/nightly'?" in reply.body["detail"]) == (404, True)
    assert asker.get(f"/deployments/{unknown}").status == 404
    assert asker.patch(f"/deployments/{unknown}", {}).status == 404
    assert asker.delete(f"/deployments/{unknown}").status == 404


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"cron": "0 9 * * *", "timezone": "Europe/Berln"}, "unknown time zone 'Europe/Berln'; did you mean"),
        ({"cron": "61 * * * *"}, "bad cron '61 * * * *'"),
        ({"rrule": "FREQ=OFTEN"}, "bad rrule 'FREQ=OFTEN'"),
    ],
)
def test_a_schedule_that_means_nothing_is_refused_by_its_place(asker, make, flow, schedule, message) -> None:
    body = {"name": "x", "flow_id": flow, "schedules": [HOURLY, {"schedule": schedule}]}
    status, loc, said = fault(asker.post("/deployments/", body))
    assert (status, loc) == (422, ["body", "schedules", 1, "schedule"])
    assert message in said
    made = make()
    assert asker.post(f"/deployments/{made['id']}/schedules", [{"schedule": schedule}]).status == 422
    assert asker.patch(f"/deployments/{made['id']}", {"schedules": [{"schedule": schedule}]}).status == 422


@pytest.mark.parametrize("schedule", [{}, {"cron": "* * * * *", "interval": 5}, {"interval": 0}, {"interval": -1}])
def test_a_schedule_has_exactly_one_kind_and_a_positive_interval(asker, flow, schedule) -> None:
    assert (
        asker.post("/deployments/", {"name": "x", "flow_id": flow, "schedules": [{"schedule": schedule}]}).status == 422
    )


def test_job_variables_are_judged_by_the_pools_template_whenever_they_are_given(asker, make, flow, pool) -> None:
    made = make(job_variables={"cpu": 4})
    path = f"/deployments/{made['id']}"
    for variables, message in (
        ({"cpuu": 1}, "unknown job variable 'cpuu' (did you mean 'cpu'?); allowed: cpu, image"),
        ({"cpu": "four"}, "'four' is not of type 'integer'; allowed: cpu, image"),
    ):
        body = {"name": "x", "flow_id": flow, "work_pool_name": pool, "job_variables": variables}
        for reply in (
            asker.post("/deployments/", body),
            asker.patch(path, {"job_variables": variables}),
            asker.post(f"{path}/create_flow_run", {"job_variables": variables}),
        ):
            status, loc, said = fault(reply)
            assert (status, loc[:2]) == (422, ["body", "job_variables"])
            assert message in said
    assert asker.get(path).body["job_variables"] == {"cpu": 4}


def test_parameters_that_do_not_fit_are_refused_when_deployed_and_may_be_incomplete(asker, make, flow) -> None:
    body = {"name": "x", "flow_id": flow, "parameter_openapi_schema": PARAMETERS}
    status, loc, said = fault(asker.post("/deployments/", {**body, "parameters": {"limit": "ten", "pth": 1}}))
    assert (status, loc[:2]) == (422, ["body", "parameters"])
    assert said.splitlines() == [
        "parameter 'pth' is not known (did you mean 'path'?); the flow takes: path, limit",
        "parameter 'limit' is wrong: 'ten' is not of type 'integer'",
    ]
    assert asker.post("/deployments/", {**body, "parameters": {"limit": 1}}).status == 201
    schedule = {**HOURLY, "parameters": {"limit": "x"}}
    assert asker.post("/deployments/", {**body, "schedules": [schedule]}).status == 422


@pytest.mark.parametrize("name", ["", "a/b"])
def test_a_name_that_could_not_be_asked_for_is_refused(asker, flow, name) -> None:
    status, loc, _ = fault(asker.post("/deployments/", {"name": name, "flow_id": flow}))
    assert (status, loc) == (422, ["body", "name"])


# --- runs ---


def test_a_run_takes_after_its_deployment_and_then_after_what_is_asked(asker, make) -> None:
    made = make(
        parameters={"path": "/in", "limit": 1},
        parameter_openapi_schema=PARAMETERS,
        tags=["d"],
        version="7",
        retries=2,
        retry_delay=1.5,
        retry_on_crash=False,
    )
    path = f"/deployments/{made['id']}/create_flow_run"
    plain = asker.post(path)
    assert plain.status == 201
    run = plain.body
    assert run["parameters"] == {"path": "/in", "limit": 1}
    assert run["tags"] == ["d"]
    assert run["deployment_version"] == "7"
    assert run["state_name"] == "Scheduled"
    assert run["work_pool_name"] == "p"
    policy = run["empirical_policy"]
    assert (policy["retries"], policy["retry_delay"], policy["retry_on_crash"]) == (2, 1.5, False)
    asked = {"parameters": {"limit": 5}, "tags": ["r", "d"], "empirical_policy": {"retries": 9}, "name": "mine"}
    run = asker.post(path, asked).body
    assert run["parameters"] == {"path": "/in", "limit": 5}
    assert run["tags"] == ["d", "r"]
    assert run["name"] == "mine"
    assert (run["empirical_policy"]["retries"], run["empirical_policy"]["retry_delay"]) == (9, 1.5)


def test_a_runs_parameters_are_filled_in_and_must_fit(asker, make) -> None:
    made = make(parameter_openapi_schema=PARAMETERS)
    path = f"/deployments/{made['id']}/create_flow_run"
    special = {
        "path": {"__prefect_kind": "jinja", "template": "/in/{{ 1 + 1 }}"},
        "limit": {"__prefect_kind": "json", "value": "3"},
    }
    assert asker.post(path, {"parameters": special}).body["parameters"] == {"path": "/in/2", "limit": 3}
    reply = asker.post(path, {"parameters": {"limit": "x"}})
    assert reply.status == 409
    assert "parameter 'limit' is wrong" in reply.body["detail"]
    assert "parameter 'path' is required" in reply.body["detail"]
    unknown = {"path": {"__prefect_kind": "yaml", "value": "x"}}
    reply = asker.post(path, {"parameters": unknown})
    assert (reply.status, "unknown __prefect_kind 'yaml'" in reply.body["detail"]) == (400, True)
    lenient = {"parameters": {"limit": "x"}, "enforce_parameter_schema": False}
    assert asker.post(path, lenient).status == 201


NEEDY = {
    "job_configuration": {"command": "{{ command }}", "image": "{{ image }}"},
    "variables": {"properties": {"command": {"type": "string"}, "image": {"type": "string"}}, "required": ["image"]},
}


def test_an_idempotency_key_answers_the_run_that_has_it(asker, make) -> None:
    path = f"/deployments/{make()['id']}/create_flow_run"
    first = asker.post(path, {"idempotency_key": "k"})
    again = asker.post(path, {"idempotency_key": "k", "parameters": {"other": 1}})
    assert (first.status, again.status) == (201, 200)
    assert again.body["id"] == first.body["id"]


def test_a_run_may_go_to_another_queue_of_the_pool(asker, make, flow) -> None:
    path = f"/deployments/{make()['id']}/create_flow_run"
    run = asker.post(path, {"work_queue_name": "fast"}).body
    assert run["work_queue_name"] == "fast"
    assert asker.get("/work_pools/p/queues/fast").body["id"] == run["work_queue_id"]
    served = asker.post("/deployments/", {"name": "served", "flow_id": flow}).body
    refused = asker.post(f"/deployments/{served['id']}/create_flow_run", {"work_queue_name": "fast"})
    assert (refused.status, "has no work pool" in refused.body["detail"]) == (400, True)


def test_many_runs_are_made_at_once_and_a_bad_one_stops_only_itself(asker, make) -> None:
    made = make(parameter_openapi_schema=PARAMETERS)
    bodies = [{"parameters": {"path": "/1"}}, {"parameters": {}}, {"parameters": {"path": "/3"}}]
    results = asker.post(f"/deployments/{made['id']}/create_flow_run/bulk", bodies).body["results"]
    assert [one["status"] for one in results] == ["CREATED", "FAILED", "CREATED"]
    assert "'path' is required" in results[1]["error"]


def test_many_runs_at_once_respect_their_idempotency_keys(asker, make) -> None:
    path = f"/deployments/{make()['id']}/create_flow_run/bulk"
    bodies = [{"idempotency_key": "a"}, {"idempotency_key": "b"}, {"idempotency_key": "a"}]
    first = [one["flow_run_id"] for one in asker.post(path, bodies).body["results"]]
    assert first[0] == first[2] != first[1]
    assert [one["flow_run_id"] for one in asker.post(path, bodies).body["results"]] == first


def test_a_run_that_was_just_made_is_shown_as_it_is_read_later(asker, make) -> None:
    path = f"/deployments/{make()['id']}/create_flow_run"
    body = {"tags": ["a"], "labels": {"x": 1}, "empirical_policy": {"retries": 2}, "idempotency_key": "k"}
    for one in ({}, body, {"state": {"type": "SCHEDULED", "name": "Later"}}, {"state": {"type": "PENDING"}}):
        made = asker.post(path, one).body
        assert asker.get(f"/flow_runs/{made['id']}").body == made


def test_runs_are_made_from_a_deployment_and_a_pool_as_they_are_now(asker, make) -> None:
    """What the server keeps of them between requests is never used once it is not true any more."""
    made = make(parameter_openapi_schema=PARAMETERS)
    path = f"/deployments/{made['id']}/create_flow_run"
    good = {"parameters": {"path": "/1"}}
    assert asker.post(path, good).status == 201
    asker.patch(f"/deployments/{made['id']}", {"tags": ["new"], "version": "2"})
    run = asker.post(path, good).body
    assert (run["tags"], run["deployment_version"]) == (["new"], "2")
    assert asker.patch("/work_pools/p", {"base_job_template": NEEDY}).status == 204
    refused = asker.post(path, good)
    assert (refused.status, "'image' is required" in str(refused.body)) == (422, True)
    [one] = asker.post(f"{path}/bulk", [good]).body["results"]
    assert (one["status"], "'image' is required" in one["error"]) == ("FAILED", True)
    fits = {**good, "job_variables": {"image": "i"}}
    assert asker.post(path, fits).status == 201
    assert asker.delete(f"/deployments/{made['id']}", "force=true").status == 204
    assert asker.post(path, fits).status == 404


def test_serve_polls_what_is_due_and_the_deployment_is_ready_from_then_on(asker, make, plan) -> None:
    made = make(schedules=[{"schedule": {"cron": "0 * * * *"}}])
    plan()
    asker.post(f"/deployments/{made['id']}/create_flow_run")
    body = {"deployment_ids": [made["id"]]}
    due = asker.post("/deployments/get_scheduled_flow_runs", body).body
    assert [run["auto_scheduled"] for run in due] == [True, False]
    later = {**body, "scheduled_before": "2026-01-15T13:00:00Z", "limit": 2}
    assert len(asker.post("/deployments/get_scheduled_flow_runs", later).body) == 2
    assert asker.get(f"/deployments/{made['id']}").body["status"] == "READY"


def test_a_span_of_the_past_can_be_scheduled_and_only_once(asker, make) -> None:
    made = make(schedules=[HOURLY])
    span = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T04:00:00Z", "min_runs": 100}
    for _ in range(2):
        assert asker.post(f"/deployments/{made['id']}/schedule", span).status == 200
    due = [run["expected_start_time"] for run in runs_of(asker, made["id"])]
    assert due == [f"2026-01-01T0{hour}:30:00Z" for hour in range(4)]


# --- changing ---


def test_a_patch_changes_what_it_names_and_nothing_else(asker, make) -> None:
    made = make(parameters={"path": "/in"}, tags=["a"], description="old", schedules=[HOURLY])
    path = f"/deployments/{made['id']}"
    assert asker.patch(path, {"description": None, "tags": ["b"], "concurrency_limit": 3}).status == 204
    now = asker.get(path).body
    assert (now["description"], now["tags"], now["concurrency_limit"]) == (None, ["b"], 3)
    assert now["parameters"] == {"path": "/in"}
    assert [one["id"] for one in now["schedules"]] == [one["id"] for one in made["schedules"]]
    assert asker.patch(path, {"colour": "red"}).status == 422


def test_new_parameters_must_fit_the_schema(asker, make) -> None:
    path = f"/deployments/{make(parameter_openapi_schema=PARAMETERS)['id']}"
    refused = asker.patch(path, {"parameters": {"limit": "x"}})
    assert (refused.status, "'limit' is wrong" in refused.body["detail"]) == (409, True)
    assert asker.patch(path, {"parameters": {"limit": 4}}).status == 204


def test_runs_that_wait_move_with_their_deployment_to_another_pool(asker, make, plan) -> None:
    asker.post("/work_pools/", {"name": "q", "type": "abacus", "base_job_template": TEMPLATE})
    made = make(schedules=[HOURLY])
    path = f"/deployments/{made['id']}"
    asker.post(f"{path}/create_flow_run", {"work_queue_name": "special"})
    finished = asker.post(f"{path}/create_flow_run").body
    asker.post(f"/flow_runs/{finished['id']}/set_state", {"state": {"type": "COMPLETED"}, "force": True})
    plan()
    assert asker.patch(path, {"work_pool_name": "q"}).status == 204
    plan()
    pools = {run["work_pool_name"] for run in runs_of(asker, made["id"]) if run["id"] != finished["id"]}
    assert pools == {"q"}
    assert asker.get(f"/flow_runs/{finished['id']}").body["work_pool_name"] == "p"
    assert asker.get(path).body["work_pool_name"] == "q"


def test_moving_to_a_pool_whose_template_does_not_know_its_variables_is_refused(asker, make) -> None:
    other = {"job_configuration": {"host": "{{ host }}"}, "variables": {"properties": {"host": {"type": "string"}}}}
    asker.post("/work_pools/", {"name": "q", "type": "abacus", "base_job_template": other})
    path = f"/deployments/{make(job_variables={'cpu': 2})['id']}"
    status, _, said = fault(asker.patch(path, {"work_pool_name": "q"}))
    assert (status, "unknown job variable 'cpu'" in said) == (422, True)
    assert asker.get(path).body["work_pool_name"] == "p"


def test_within_a_pool_only_runs_of_the_old_queue_move(asker, make) -> None:
    made = make()
    path = f"/deployments/{made['id']}"
    own = asker.post(f"{path}/create_flow_run", {"work_queue_name": "special"}).body["id"]
    usual = asker.post(f"{path}/create_flow_run").body["id"]
    asker.patch(path, {"work_queue_name": "slow"})
    assert asker.get(f"/flow_runs/{own}").body["work_queue_name"] == "special"
    assert asker.get(f"/flow_runs/{usual}").body["work_queue_name"] == "slow"


def test_schedules_with_slugs_are_changed_one_by_one(asker, make) -> None:
    made = make(schedules=[{**HOURLY, "slug": "a"}, {"schedule": {"cron": "0 0 * * *"}, "slug": "b"}])
    path = f"/deployments/{made['id']}"
    ids = {one["slug"]: one["id"] for one in made["schedules"]}
    patch = [
        {"slug": "a", "active": False},
        {"slug": "c", "schedule": {"cron": "0 3 * * *"}},
        {"slug": "B", "replaces": "b"},
    ]
    assert asker.patch(path, {"schedules": patch}).status == 204
    now = {one["slug"]: one for one in asker.get(path).body["schedules"]}
    assert set(now) == {"a", "B", "c"}
    assert (now["a"]["id"], now["a"]["active"]) == (ids["a"], False)
    assert now["B"]["id"] == ids["b"]
    for bad in ([{"active": False}], [{"slug": "new"}], [{"slug": "a", "replaces": "c"}]):
        assert asker.patch(path, {"schedules": bad}).status == 422


def test_schedules_without_slugs_are_replaced(asker, make) -> None:
    made = make(schedules=[HOURLY, HOURLY])
    path = f"/deployments/{made['id']}"
    asker.patch(path, {"schedules": [{"schedule": {"cron": "0 3 * * *"}}]})
    (left,) = asker.get(path).body["schedules"]
    assert left["schedule"]["cron"] == "0 3 * * *"


# --- schedules of their own ---


def test_schedules_are_added_changed_and_removed_with_the_runs_they_planned(asker, make, plan) -> None:
    made = make(schedules=[HOURLY])
    path = f"/deployments/{made['id']}/schedules"
    added = asker.post(path, [{"schedule": {"cron": "15 * * * *"}, "slug": "quarter"}])
    assert added.status == 201
    assert asker.post(path, [{**HOURLY, "slug": "quarter"}]).status == 409
    quarter = added.body[0]["id"]
    assert plan() == 6

    def minutes() -> set[str]:
        return {run["expected_start_time"][14:16] for run in runs_of(asker, made["id"])}

    assert minutes() == {"15", "30"}
    assert asker.patch(f"{path}/{quarter}", {"schedule": {"cron": "45 * * * *"}}).status == 204
    assert minutes() == {"30"}
    assert plan() == 3
    assert minutes() == {"30", "45"}
    assert asker.patch(f"{path}/{quarter}", {"active": False}).status == 204
    assert (minutes(), plan()) == ({"30"}, 0)
    assert asker.delete(f"{path}/{made['schedules'][0]['id']}").status == 204
    assert minutes() == set()
    assert [one["id"] for one in asker.get(path).body] == [quarter]
    assert asker.delete(f"{path}/{made['schedules'][0]['id']}").status == 404


def test_pausing_forgets_what_was_planned_and_resuming_plans_it_again(asker, make, plan) -> None:
    made = make(schedules=[HOURLY])
    path = f"/deployments/{made['id']}"
    by_hand = asker.post(f"{path}/create_flow_run").body["id"]
    plan()
    assert asker.post(f"{path}/pause_deployment").status == 200
    assert [run["id"] for run in runs_of(asker, made["id"])] == [by_hand]
    assert (asker.get(path).body["paused"], plan()) == (True, 0)
    assert asker.post(f"{path}/resume_deployment").status == 200
    assert (asker.get(path).body["paused"], plan()) == (False, 3)


# --- deleting ---


def test_deleting_is_refused_while_runs_wait_or_run_and_says_how_many(asker, make, plan) -> None:
    made = make(schedules=[HOURLY])
    path = f"/deployments/{made['id']}"
    plan()
    runs = [asker.post(f"{path}/create_flow_run").body["id"] for _ in range(3)]
    for state in ("PENDING", "RUNNING"):
        asker.post(f"/flow_runs/{runs[0]}/set_state", {"state": {"type": state}})
    refused = asker.delete(path)
    assert (refused.status, refused.body["code"]) == (409, "DeploymentInUse")
    assert "2 waiting and 1 running runs" in refused.body["detail"]
    assert asker.get(path).status == 200


def test_force_cancels_waiting_runs_first(asker, make) -> None:
    made = make()
    path = f"/deployments/{made['id']}"
    run = asker.post(f"{path}/create_flow_run").body["id"]
    assert asker.delete(path, "force=true").status == 204
    assert asker.get(path).status == 404
    assert asker.get(f"/flow_runs/{run}").body["state_type"] == "CANCELLED"


def test_runs_planned_ahead_go_with_their_deployment_and_ended_ones_stay(asker, make, plan) -> None:
    made = make(schedules=[HOURLY])
    path = f"/deployments/{made['id']}"
    ended = asker.post(f"{path}/create_flow_run").body["id"]
    asker.post(f"/flow_runs/{ended}/set_state", {"state": {"type": "COMPLETED"}, "force": True})
    plan()
    assert asker.delete(path).status == 204
    assert [run["id"] for run in runs_of(asker, made["id"])] == [ended]


def test_a_run_of_a_schedule_that_is_due_counts_as_waiting(asker, make, plan) -> None:
    made = make(schedules=[HOURLY])
    plan()
    asker.clock.advance(3600)
    refused = asker.delete(f"/deployments/{made['id']}")
    assert (refused.status, "1 waiting and 0 running" in refused.body["detail"]) == (409, True)


# --- finding ---


def test_deployments_are_filtered_counted_and_paged(asker, make) -> None:
    for name in ("a", "b", "c"):
        make(name, tags=[name])
    body = {"deployments": {"name": {"any_": ["a", "c"]}}, "sort": "NAME_DESC"}
    assert [one["name"] for one in asker.post("/deployments/filter", body).body] == ["c", "a"]
    assert asker.post("/deployments/count", {"deployments": {"tags": {"all_": ["b"]}}}).body == 1
    page = asker.post("/deployments/paginate", {"page": 2, "limit": 2}).body
    assert (page["count"], page["pages"], [one["name"] for one in page["results"]]) == (3, 2, ["c"])
    gone = asker.post("/deployments/bulk_delete", {"deployments": {"name": {"any_": ["a"]}}}).body["deleted"]
    assert (len(gone), asker.post("/deployments/count").body) == (1, 2)


def test_the_queue_that_can_pick_its_runs_up_is_its_own(asker, make) -> None:
    made = make(work_queue_name="fast")
    (queue,) = asker.get(f"/deployments/{made['id']}/work_queue_check").body
    assert queue["name"] == "fast"
