"""Flow runs, task runs, states, events."""

from __future__ import annotations

from typing import Any

from live.scenario_basics import NOBODY
from live.steps import Step, delete, get, patch, post

TASK = "11111111-1111-4111-8111-111111111111"


def flow_runs() -> list[Step]:
    create, read, change = post("/flow_runs/"), get("/flow_runs/{id}"), patch("/flow_runs/{id}")
    labels = patch("/flow_runs/{id}/labels")
    return [
        create("plain", {"flow_id": "<flow>"}, {"run": "id"}),
        create("with everything", {
            "flow_id": "<flow>", "name": "named", "flow_version": "v1", "parameters": {"n": 1}, "context": {"c": 1},
            "empirical_policy": {"retries": 1, "retry_delay": 0}, "tags": ["t"], "labels": {"l": True},
            "idempotency_key": "once", "state": {"type": "PENDING", "name": "Pending", "message": "m"},
        }, {"full": "id"}),
        create("same key", {"flow_id": "<flow>", "idempotency_key": "once"}),
        create("scheduled", {"flow_id": "<flow>", "state": {"type": "SCHEDULED", "state_details": {
            "scheduled_time": "2020-01-01T00:00:00Z"}}}, {"late": "id"}),
        create("doomed", {"flow_id": "<flow>"}, {"doomed_run": "id"}),
        create("bad state type", {"flow_id": "<flow>", "state": {"type": "HAPPY"}}),
        create("unknown field", {"flow_id": "<flow>", "colour": 1}),
        create("no flow id", {}),
        read("ok", id="<run>"),
        read("full", id="<full>"),
        read("nobody", id=NOBODY),
        change("some fields", {"name": "new", "tags": ["a"], "flow_version": "2"}, id="<run>"),
        change("infrastructure", {"infrastructure_pid": "p:1"}, id="<run>"),
        change("unknown field", {"colour": 1}, id="<run>"),
        change("nobody", {"name": "new"}, id=NOBODY),
        labels("ok", {"k": "v"}, id="<run>"),
        labels("ill-typed", {"k": []}, id="<doomed_run>"),
        labels("nobody", {"k": "v"}, id=NOBODY),
        delete("/flow_runs/{id}")("ok", id="<doomed_run>"),
        delete("/flow_runs/{id}")("nobody", id="<doomed_run>"),
    ]  # fmt: skip


def flow_run_queries() -> list[Step]:
    search, count, paginate = post("/flow_runs/filter"), post("/flow_runs/count"), post("/flow_runs/paginate")
    span = {"history_start": "2020-01-01T00:00:00Z", "history_end": "2020-01-01T02:00:00Z"}
    return [
        search("one", {"flow_runs": {"id": {"any_": ["<full>"]}}}),
        search("by state", {"flow_runs": {"state": {"type": {"any_": ["PENDING"]}}}}),
        search("by flow and deployment", {"flows": {"name": {"any_": ["first"]}},
                                          "deployments": {"name": {"any_": ["nightly"]}}, "limit": 1,
                                          "sort": "EXPECTED_START_TIME_DESC"}),
        search("or", {"flow_runs": {"operator": "or_", "name": {"any_": ["named"]}, "tags": {"all_": ["none"]}}}),
        search("unknown operator", {"flow_runs": {"name": {"near_": "x"}}}),
        search("unknown sort", {"sort": "SIZE"}),
        search("limit 201", {"limit": 201}),
        count("one", {"flow_runs": {"id": {"any_": ["<full>"]}}}),
        count("ill-typed", {"flow_runs": {"id": {"any_": 3}}}),
        paginate("one", {"flow_runs": {"id": {"any_": ["<full>"]}}, "limit": 1}),
        paginate("page 0", {"page": 0}),
        post("/flow_runs/lateness")("one", {"flow_runs": {"id": {"any_": ["<late>"]}}}),
        post("/flow_runs/lateness")("none", {"flow_runs": {"id": {"any_": [NOBODY]}}}),
        post("/flow_runs/history")("two hours", {**span, "history_interval_seconds": 3600}),
        post("/flow_runs/history")("no interval", span),
        post("/flow_runs/history")("interval 0", {**span, "history_interval_seconds": 0}),
    ]  # fmt: skip


def transitions() -> list[Step]:
    propose = post("/flow_runs/{id}/set_state")

    def to(step: str, run: str, type: str, /, force: bool = False, **state: Any) -> Step:
        return propose(step, {"state": {"type": type, **state}, "force": force}, id=f"<{run}>")

    return [
        to("pending", "run", "PENDING"),
        to("pending twice", "run", "PENDING"),
        to("running", "run", "RUNNING"),
        to("paused", "run", "PAUSED", name="Paused", state_details={
            "pause_timeout": "2031-01-01T00:00:00Z", "pause_key": "p", "pause_reschedule": False}),
        post("/flow_runs/{id}/resume")("paused", {"run_input": {"x": 1}}, id="<run>"),
        post("/flow_runs/{id}/resume")("not paused", {}, id="<run>"),
        post("/flow_runs/{id}/resume")("nobody", {}, id=NOBODY),
        to("completed", "run", "COMPLETED", message="done", data={"type": "unpersisted"}),
        to("cancelling after the end", "run", "CANCELLING"),
        to("running too early", "keyed", "RUNNING"),
        to("full: running", "full", "RUNNING"),
        to("full: failed, retries left", "full", "FAILED", message="oops"),
        to("full: running again", "full", "RUNNING"),
        to("full: failed for good", "full", "FAILED"),
        to("cancelling without infrastructure", "deployed", "CANCELLING"),
        to("forced", "late", "CRASHED", force=True),
        to("bad type", "run", "HAPPY"),
        propose("no state", {}, id="<run>"),
        propose("unknown field of a state", {"state": {"type": "PENDING", "colour": 1}}, id="<run>"),
        propose("nobody", {"state": {"type": "PENDING"}}, id=NOBODY),
        get("/flow_runs/{id}")("after the end", id="<run>"),
        get("/flow_runs/{id}")("after a retry", id="<full>"),
        get("/flow_run_states/")("of a run", query="flow_run_id=<run>", save={"state": "0.id"}),
        get("/flow_run_states/")("no run"),
        get("/flow_run_states/{id}")("ok", id="<state>"),
        get("/flow_run_states/{id}")("nobody", id=NOBODY),
    ]  # fmt: skip


def inputs() -> list[Step]:
    create, search = post("/flow_runs/{id}/input"), post("/flow_runs/{id}/input/filter")
    read, remove = get("/flow_runs/{id}/input/{key}"), delete("/flow_runs/{id}/input/{key}")
    return [
        create("new", {"key": "a-1", "value": '{"v": 1}', "sender": "me"}, id="<run>"),
        create("taken key", {"key": "a-1", "value": "2"}, id="<run>"),
        create("bad key", {"key": "b c!", "value": "2"}, id="<run>"),
        create("no value", {"key": "a-2"}, id="<run>"),
        create("nobody", {"key": "a-1", "value": "2"}, id=NOBODY),
        search("by prefix", {"prefix": "a", "limit": 5}, id="<run>"),
        search("but not", {"prefix": "a", "exclude_keys": ["a-1"]}, id="<run>"),
        read("ok", id="<run>", key="a-1"),
        read("nobody", id="<run>", key="nonesuch"),
        remove("ok", id="<run>", key="a-1"),
        remove("nobody", id="<run>", key="a-1"),
    ]


def task_runs() -> list[Step]:
    create, read, change = post("/task_runs/"), get("/task_runs/{id}"), patch("/task_runs/{id}")
    propose, search = post("/task_runs/{id}/set_state"), post("/task_runs/filter")
    made = {"flow_run_id": "<full>", "task_key": "t", "dynamic_key": "1"}
    mine = {"task_runs": {"flow_run_id": {"any_": ["<full>"]}}}
    span = {"history_start": "2020-01-01T00:00:00Z", "history_end": "2020-01-01T01:00:00Z"}
    return [
        create("new", {**made, "name": "n", "tags": ["t"], "task_inputs": {
            "x": [{"input_type": "parameter", "name": "n"}], "y": [{"input_type": "task_run", "id": NOBODY}]},
            "empirical_policy": {"retries": 1, "retry_delay": [1, 2]}}, {"task": "id"}),
        create("again", made),
        create("no key", {"flow_run_id": "<full>", "task_key": "t"}),
        create("unknown field", {**made, "colour": 1}),
        create("doomed", {**made, "dynamic_key": "2"}, {"doomed_task": "id"}),
        read("ok", id="<task>"),
        read("nobody", id=NOBODY),
        change("name", {"name": "m"}, id="<task>"),
        change("nobody", {"name": "m"}, id=NOBODY),
        propose("pending", {"state": {"type": "PENDING"}}, id="<task>"),
        propose("nobody", {"state": {"type": "PENDING"}}, id=NOBODY),
        propose("bad type", {"state": {"type": "HAPPY"}}, id="<task>"),
        get("/task_run_states/")("of a run", query="task_run_id=<task>", save={"task_state": "0.id"}),
        get("/task_run_states/{id}")("ok", id="<task_state>"),
        get("/task_run_states/{id}")("nobody", id=NOBODY),
        search("of the run", mine),
        search("unknown operator", {"task_runs": {"name": {"near_": "x"}}}),
        search("limit 201", {"limit": 201}),
        post("/task_runs/count")("of the run", mine),
        post("/task_runs/paginate")("of the run", {**mine, "limit": 5}),
        post("/task_runs/history")("an hour", {**span, "history_interval_seconds": 1800}),
        delete("/task_runs/{id}")("ok", id="<doomed_task>"),
        delete("/task_runs/{id}")("nobody", id=NOBODY),
    ]  # fmt: skip


def events() -> list[Step]:
    """A task run reported by events, as engines do."""
    report = {
        "id": "22222222-2222-4222-8222-222222222222", "occurred": "2030-01-01T00:00:00Z",
        "event": "prefect.task-run.Completed",
        "resource": {"prefect.resource.id": f"prefect.task-run.{TASK}", "prefect.resource.name": "by-event",
                     "prefect.orchestration": "client", "prefect.state-type": "COMPLETED",
                     "prefect.state-name": "Completed", "prefect.state-timestamp": "2030-01-01T00:00:00Z",
                     "prefect.run-count": "1"},
        "related": [{"prefect.resource.id": "prefect.flow-run.<full>", "prefect.resource.role": "flow-run"}],
        "payload": {
            "intended": {"from": "RUNNING", "to": "COMPLETED"}, "initial_state": None,
            "validated_state": {"type": "COMPLETED", "name": "Completed", "message": None, "state_details": {}},
            "task_run": {"name": "by-event", "task_key": "e", "dynamic_key": "1", "tags": ["ev"], "run_count": 1,
                         "flow_run_run_count": 1, "task_inputs": {}, "empirical_policy": {"retries": 0},
                         "start_time": "2029-12-31T23:59:59Z", "end_time": "2030-01-01T00:00:00Z",
                         "total_run_time": 1.0},
        },
    }  # fmt: skip
    send = post("/events")
    return [
        send("a task run's end", [report]),
        send("the same again", [report]),
        send("none", []),
        send("no id", [{"occurred": "2030-01-01T00:00:00Z", "event": "x", "resource": {}}]),
        send("not a list", report),
        get("/task_runs/{id}")("reported by event", id=TASK, until=lambda found: "id" in found),
        get("/flow_runs/{id}/graph-v2")("ok", id="<full>"),
        get("/flow_runs/{id}/graph-v2")("nobody", id=NOBODY),
    ]


def farewell() -> list[Step]:
    return [post("/flow_runs/bulk_delete")("one", {"flow_runs": {"id": {"any_": ["<late>"]}}})]
