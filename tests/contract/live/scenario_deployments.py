"""Deployments, their schedules, and runs made from them."""

from __future__ import annotations

from live.scenario_basics import NOBODY
from live.steps import Step, delete, get, patch, post

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "position": 0}, "s": {"type": "string", "position": 1}},
    "required": ["n"],
}
FULL = {
    "name": "nightly", "flow_id": "<flow>", "version": "1", "description": "d", "tags": ["x"], "labels": {"team": "a"},
    "parameters": {"n": 1}, "parameter_openapi_schema": SCHEMA, "enforce_parameter_schema": True,
    "work_pool_name": "pool", "work_queue_name": "high", "job_variables": {"command": "pwd"},
    "entrypoint": "f.py:f", "path": ".", "concurrency_limit": 3,
    "concurrency_options": {"collision_strategy": "ENQUEUE"},
    "schedules": [
        {"schedule": {"cron": "0 3 * * *", "timezone": "Europe/Paris"}, "slug": "night"},
        {"schedule": {"interval": 3600, "anchor_date": "2026-01-01T00:00:00Z"}, "active": False,
         "parameters": {"n": 2}},
        {"schedule": {"rrule": "FREQ=DAILY;COUNT=3"}, "max_scheduled_runs": 2},
    ],
}  # fmt: skip


def deployments() -> list[Step]:
    create, read, change = post("/deployments/"), get("/deployments/{id}"), patch("/deployments/{id}")
    search, by_name = post("/deployments/filter"), get("/deployments/name/{flow_name}/{deployment_name}")
    return [
        create("full", FULL, {"deployment": "id", "schedule": "schedules.0.id"}),
        create("again", {**FULL, "version": "2"}),
        create("plain", {"name": "plain", "flow_id": "<flow>"}, {"plain": "id"}),
        create("doomed", {"name": "doomed", "flow_id": "<flow>"}, {"doomed": "id"}),
        create("no flow", {"name": "x", "flow_id": NOBODY}),
        create("unknown pool", {"name": "x", "flow_id": "<flow>", "work_pool_name": "nonesuch"}),
        create("unknown queue", {"name": "queued", "flow_id": "<flow>", "work_pool_name": "pool",
                                 "work_queue_name": "made-on-the-way"}),
        create("unknown field", {"name": "x", "flow_id": "<flow>", "colour": 1}),
        create("no name", {"flow_id": "<flow>"}),
        create("bad cron", {"name": "x", "flow_id": "<flow>", "schedules": [{"schedule": {"cron": "often"}}]}),
        create("bad time zone", {"name": "x", "flow_id": "<flow>",
                                 "schedules": [{"schedule": {"cron": "* * * * *", "timezone": "Mars/Olympus"}}]}),
        create("bad rrule", {"name": "x", "flow_id": "<flow>", "schedules": [{"schedule": {"rrule": "SOMETIMES"}}]}),
        create("no interval", {"name": "x", "flow_id": "<flow>", "schedules": [{"schedule": {"interval": 0}}]}),
        create("ill-typed parameter", {**FULL, "name": "x", "parameters": {"n": "one"}}),
        create("ill-typed job variable", {**FULL, "name": "x", "job_variables": {"command": 3}}),
        create("limit 0", {"name": "x", "flow_id": "<flow>", "concurrency_limit": 0}),
        read("ok", id="<deployment>"),
        read("plain", id="<plain>"),
        read("nobody", id=NOBODY),
        by_name("ok", flow_name="first", deployment_name="nightly"),
        by_name("nobody", flow_name="first", deployment_name="nonesuch"),
        change("some fields", {"version": "3", "tags": ["y"], "description": None}, id="<deployment>"),
        change("to another queue", {"work_queue_name": "low"}, id="<deployment>"),
        change("to the first queue", {"work_queue_name": "high"}, id="<deployment>"),
        change("limit", {"concurrency_limit": 4}, id="<plain>"),
        change("no limit", {"concurrency_limit": None}, id="<plain>"),
        change("unknown pool", {"work_pool_name": "nonesuch"}, id="<plain>"),
        change("unknown field", {"colour": 1}, id="<plain>"),
        change("nobody", {"version": "3"}, id=NOBODY),
        search("all", {}),
        search("by flow and tag", {"flows": {"name": {"any_": ["first"]}}, "deployments": {"tags": {"all_": ["y"]}}}),
        search("by pool", {"work_pools": {"name": {"any_": ["pool"]}}, "sort": "NAME_DESC"}),
        search("unknown operator", {"deployments": {"paused": {"any_": [True]}}}),
        search("limit 201", {"limit": 201}),
        post("/deployments/count")("all", {}),
        post("/deployments/paginate")("first page", {"limit": 1}),
        post("/deployments/{id}/pause_deployment")("ok", id="<deployment>"),
        post("/deployments/{id}/resume_deployment")("ok", id="<deployment>"),
        post("/deployments/{id}/pause_deployment")("nobody", id=NOBODY),
        post("/deployments/{id}/resume_deployment")("nobody", id=NOBODY),
        get("/deployments/{id}/work_queue_check")("ok", id="<deployment>"),
        delete("/deployments/{id}")("ok", id="<doomed>"),
        delete("/deployments/{id}")("nobody", id=NOBODY),
    ]  # fmt: skip


def schedules() -> list[Step]:
    listed, create = get("/deployments/{id}/schedules"), post("/deployments/{id}/schedules")
    change = patch("/deployments/{id}/schedules/{schedule_id}")
    remove = delete("/deployments/{id}/schedules/{schedule_id}")
    cron = [{"schedule": {"cron": "*/5 * * * *"}, "active": True}]
    return [
        create("one", cron, {"added": "0.id"}, id="<plain>"),
        create("interval in words", [{"schedule": {"interval": "PT90S"}}], id="<plain>"),
        create("bad cron", [{"schedule": {"cron": "61 * * * *"}}], id="<plain>"),
        create("nobody", cron, id=NOBODY),
        listed("ok", id="<plain>"),
        listed("nobody", id=NOBODY),
        change("off", {"active": False}, id="<plain>", schedule_id="<added>"),
        change("other time", {"schedule": {"cron": "1 1 * * *", "day_or": False}}, id="<plain>", schedule_id="<added>"),
        change("unknown field", {"colour": 1}, id="<plain>", schedule_id="<added>"),
        change("nobody", {"active": False}, id="<plain>", schedule_id=NOBODY),
        remove("ok", id="<plain>", schedule_id="<added>"),
        remove("nobody", id="<plain>", schedule_id="<added>"),
        post("/deployments/{id}/schedule")("a day", {"start_time": "2030-01-01T00:00:00Z", "max_runs": 2},
                                           id="<deployment>"),
        post("/deployments/{id}/schedule")("nobody", {}, id=NOBODY),
    ]  # fmt: skip


def runs_of_deployments() -> list[Step]:
    create, scheduled = post("/deployments/{id}/create_flow_run"), post("/deployments/get_scheduled_flow_runs")
    bulk = post("/deployments/{id}/create_flow_run/bulk")
    return [
        create("plain", {}, {"deployed": "id"}, id="<deployment>"),
        create("with everything", {
            "parameters": {"n": 5}, "name": "named", "tags": ["z"], "idempotency_key": "k", "labels": {"l": 1},
            "job_variables": {"command": "true"}, "work_queue_name": "low", "context": {"c": 1},
            "state": {"type": "SCHEDULED", "state_details": {"scheduled_time": "2030-01-01T00:00:00Z"}},
            "empirical_policy": {"retries": 2, "retry_delay": 1},
        }, {"keyed": "id"}, id="<deployment>"),
        create("same key", {"parameters": {"n": 5}, "idempotency_key": "k"}, id="<deployment>"),
        create("ill-typed parameter", {"parameters": {"n": "one"}}, id="<deployment>"),
        create("ill-typed job variable", {"job_variables": {"command": 3}}, id="<deployment>"),
        create("unknown field", {"colour": 1}, id="<deployment>"),
        create("nobody", {}, id=NOBODY),
        bulk("two", [{}, {"parameters": {"n": 2}}], id="<deployment>"),
        bulk("nobody", [{}], id=NOBODY),
        scheduled("ok", {"deployment_ids": ["<deployment>"], "limit": 1}),
        scheduled("before", {"deployment_ids": ["<deployment>"], "scheduled_before": "2031-01-01T00:00:00Z",
                             "limit": 2}),
        scheduled("nobody", {"deployment_ids": [NOBODY]}),
        scheduled("no ids", {}),
    ]  # fmt: skip


def farewell() -> list[Step]:
    create = post("/deployments/{id}/create_flow_run")
    return [
        create("unknown parameter", {"parameters": {"n": 1, "q": 2}}, id="<deployment>"),
        delete("/deployments/{id}")("with no live runs", id="<plain>"),
        post("/deployments/bulk_delete")("none", {"deployments": {"id": {"any_": [NOBODY]}}}),
    ]
