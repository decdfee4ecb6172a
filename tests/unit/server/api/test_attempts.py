"""The life of a claimed run over HTTP: register, claim, start, run, crash, explain."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from .conftest import Asker

STOCK = {"user-agent": "prefect/3.8.8 (API 0.8.4)"}


class Stage:
    """A pool, a deployment and a registered worker, made through the API."""

    def __init__(self, asker: Asker) -> None:
        self.asker = asker
        asker.post("/work_pools/", {"name": "p", "type": "process"})
        self.flow = asker.post("/flows/", {"name": "f"}).body["id"]
        made = {"name": "d", "flow_id": self.flow, "work_pool_name": "p", "entrypoint": "flows.py:f"}
        self.deployment = asker.post("/deployments/", made).body["id"]
        worker = asker.post("/work_pools/p/workers", {"type": "process", "name": "w1", "limit": 5})
        assert worker.status == 201, worker.body
        self.worker = worker.body["worker_id"]

    def start(self, **more: Any) -> str:
        reply = self.asker.post(f"/deployments/{self.deployment}/create_flow_run", more)
        assert reply.status == 201, reply.body
        return str(reply.body["id"])

    def claim(self, **more: Any) -> Any:
        body = {"claim_id": str(uuid4()), "worker_id": self.worker, "limit": 5, **more}
        reply = self.asker.post("/work_pools/p/claim", body)
        assert reply.status == 200, reply.body
        return reply.body

    def set_state(self, run: str, type: str, headers: Any = None, **state: Any) -> Any:
        return self.asker.post(f"/flow_runs/{run}/set_state", {"state": {"type": type, **state}}, headers)


@pytest.fixture
def stage(asker: Asker) -> Stage:
    return Stage(asker)


def fence(claim: Any, nonce: str = "n1") -> dict[str, str]:
    number = str(claim["attempt"])
    return {
        "headway-attempt-token": claim["token"],
        "headway-attempt-nonce": nonce,
        "headway-attempt": number,
    }


def test_a_claimed_run_is_started_run_and_finished(stage: Stage) -> None:
    run = stage.start()
    (claim,) = stage.claim()["claims"]
    assert (claim["flow_run"]["id"], claim["attempt"], claim["deployment"]["name"]) == (run, 1, "d")
    report = f"/flow_runs/{run}/attempts/1/report"
    started = {"token": claim["token"], "event": "started", "handle": {"pid": 1}, "infrastructure_pid": "host:1"}
    assert stage.asker.post(report, started).status == 200
    assert stage.asker.get(f"/flow_runs/{run}").body["infrastructure_pid"] == "host:1"
    assert stage.set_state(run, "RUNNING", fence(claim)).status == 201
    assert stage.asker.post(f"/flow_runs/{run}/lease/renew", headers=fence(claim)).status == 204
    other = stage.set_state(run, "COMPLETED", fence(claim, "n2"))
    assert (other.status, other.body["code"]) == (409, "AttemptFenced")
    done = stage.set_state(run, "COMPLETED", fence(claim))
    assert (done.status, done.body["status"], done.body["details"]["type"]) == (201, "ACCEPT", "accept_details")
    ended = {"token": claim["token"], "event": "ended", "exit_code": 0}
    assert stage.asker.post(report, ended).body == {"state": done.body["state"], "retry_scheduled": False}
    assert stage.asker.post(f"/flow_runs/{run}/lease/renew", headers=fence(claim)).status == 410
    assert stage.set_state(run, "RUNNING", fence(claim)).status == 410


def test_an_engine_hears_with_its_renewal_that_its_run_or_a_flow_inside_it_was_cancelled(stage: Stage) -> None:
    run = stage.start()
    (claim,) = stage.claim()["claims"]
    mine = fence(claim)
    renew = f"/flow_runs/{run}/lease/renew"
    stage.set_state(run, "RUNNING", mine)
    key = {"flow_run_id": run, "task_key": "t", "dynamic_key": "0"}
    parent = stage.asker.post("/task_runs/", key, mine).body["id"]
    flow = stage.asker.get(f"/flow_runs/{run}").body["flow_id"]
    inner = {"flow_id": flow, "parent_task_run_id": parent, "state": {"type": "RUNNING"}}
    child = stage.asker.post("/flow_runs/", inner, mine).body["id"]
    assert stage.asker.post(renew, headers=mine).status == 204
    stage.set_state(child, "CANCELLING")
    told = stage.asker.post(renew, headers=mine)
    assert (told.status, told.body) == (200, {"stop": [child]})
    stage.set_state(child, "CANCELLED", mine)
    assert stage.asker.post(renew, headers=mine).status == 204
    stage.set_state(run, "CANCELLING")
    assert stage.asker.post(renew, headers=mine).body == {"stop": [run]}


def test_a_crash_is_retried_with_the_retries_of_its_deployment(stage: Stage) -> None:
    stage.asker.patch(f"/deployments/{stage.deployment}", {"retries": 1, "retry_delay": 0})
    run = stage.start()
    (claim,) = stage.claim()["claims"]
    stage.set_state(run, "RUNNING", fence(claim))
    body = {"token": claim["token"], "event": "ended", "signal": 9}
    reply = stage.asker.post(f"/flow_runs/{run}/attempts/1/report", body).body
    assert (reply["state"]["name"], reply["retry_scheduled"]) == ("AwaitingRetry", True)
    (again,) = stage.claim()["claims"]
    assert (again["flow_run"]["id"], again["attempt"]) == (run, 2)


def test_renewing_names_what_is_lost_and_what_to_stop(stage: Stage) -> None:
    run = stage.start()
    (claim,) = stage.claim()["claims"]
    stage.set_state(run, "RUNNING", fence(claim))
    stage.set_state(run, "CANCELLING")
    held = {"flow_run_id": run, "attempt": 1, "token": claim["token"]}
    lost = {"flow_run_id": str(uuid4()), "attempt": 1, "token": "x"}
    reply = stage.asker.post("/work_pools/p/renew", {"worker_id": stage.worker, "attempts": [held, lost]}).body
    assert [order["flow_run_id"] for order in reply["stop"]] == [run]
    assert [ref["flow_run_id"] for ref in reply["lost"]] == [lost["flow_run_id"]]


def test_a_worker_that_never_registered_is_not_found(stage: Stage) -> None:
    body = {"claim_id": str(uuid4()), "worker_id": str(uuid4()), "limit": 1}
    reply = stage.asker.post("/work_pools/p/claim", body)
    assert (reply.status, "is not registered" in reply.body["detail"]) == (404, True)
    assert stage.asker.post("/work_pools/q/claim", body).status == 404


def test_a_stock_worker_and_engine_go_the_reference_way(stage: Stage) -> None:
    run = stage.start()
    (polled,) = stage.asker.post("/work_pools/p/get_scheduled_flow_runs", {}).body
    assert polled["flow_run"]["id"] == run
    (served,) = stage.asker.post("/deployments/get_scheduled_flow_runs", {"deployment_ids": [stage.deployment]}).body
    assert served["id"] == run
    assert stage.set_state(run, "PENDING", STOCK).status == 201
    second = stage.set_state(run, "PENDING", STOCK)
    assert (second.status, second.body["status"], second.body["state"]["type"]) == (200, "ABORT", "PENDING")
    assert not stage.claim()["claims"]
    assert stage.set_state(run, "RUNNING", STOCK).status == 201
    assert stage.set_state(run, "COMPLETED", STOCK).status == 201


def test_early_running_waits_and_answers_the_current_state(stage: Stage) -> None:
    late = "2026-01-15T12:00:30+00:00"
    run = stage.start(state={"type": "SCHEDULED", "state_details": {"scheduled_time": late}})
    reply = stage.set_state(run, "RUNNING")
    assert (reply.status, reply.body["status"], reply.body["details"]["delay_seconds"]) == (200, "WAIT", 30)
    assert reply.body["state"]["type"] == "SCHEDULED"
    explained = stage.asker.get(f"/flow_runs/{run}/explain").body
    assert explained["claimable"] is False
    assert [reason["code"] for reason in explained["reasons"]] == ["not_due"]


def test_many_runs_take_a_state_at_once(stage: Stage) -> None:
    runs = [stage.start() for _ in range(3)]
    body = {"flow_runs": {"id": {"any_": runs[:2]}}, "state": {"type": "CANCELLING"}}
    results = stage.asker.post("/flow_runs/bulk_set_state", body).body["results"]
    assert {result["flow_run_id"]: result["state"]["type"] for result in results} == dict.fromkeys(
        runs[:2], "CANCELLED"
    )
    assert stage.asker.get(f"/flow_runs/{runs[2]}").body["state_type"] == "SCHEDULED"


def test_a_state_for_a_run_that_does_not_exist_is_not_found(stage: Stage) -> None:
    assert stage.set_state(str(uuid4()), "RUNNING").status == 404
    assert stage.asker.post(f"/flow_runs/{uuid4()}/resume").status == 404
    assert stage.asker.get(f"/flow_runs/{uuid4()}/explain").status == 404


# --- fencing of what is told about a run ---


def told(run: str, message: str) -> list[dict[str, Any]]:
    return [{"name": "flow", "level": 20, "message": message, "timestamp": "2026-01-15T12:00:00Z", "flow_run_id": run}]


def reported(run: str) -> list[dict[str, Any]]:
    state = {"id": str(uuid4()), "type": "RUNNING", "timestamp": "2026-01-15T12:00:00Z", "name": "Running"}
    task = {"id": str(uuid4()), "flow_run_id": run, "name": "t", "task_key": "t", "dynamic_key": "0"}
    return [{**task, "expected_start_time": "2026-01-15T12:00:00Z", "states": [state]}]


def messages(stage: Stage) -> list[str]:
    return [line["message"] for line in stage.asker.post("/logs/filter").body]


def test_logs_and_reports_of_another_process_or_an_older_attempt_are_refused_and_not_kept(stage: Stage) -> None:
    run = stage.start()
    (first,) = stage.claim()["claims"]
    stage.set_state(run, "RUNNING", fence(first))
    post = stage.asker.post
    assert post("/logs/", told(run, "own"), fence(first)).status == 201
    assert post("/logs/", told(run, "other process"), fence(first, "n2")).status == 409
    assert post("/logs/", told(run, "guessed"), {**fence(first), "headway-attempt-token": "x"}).status == 409
    assert post("/task_run_reports", reported(run), fence(first, "n2")).status == 409
    assert post("/task_run_reports", reported(run), fence(first)).status == 204
    stage.asker.post(f"/flow_runs/{run}/attempts/1/report", {"token": first["token"], "event": "ended", "exit_code": 1})
    assert post("/logs/", told(run, "last words"), fence(first)).status == 201
    stage.set_state(run, "SCHEDULED")
    (second,) = stage.claim()["claims"]
    assert post("/logs/", told(run, "too late"), fence(first)).status == 410
    assert post("/task_run_reports", reported(run), fence(first)).status == 410
    assert post("/logs/", told(run, "second"), fence(second, "n3")).status == 201
    assert post("/logs/", told(run, "its worker's own line")).status == 201
    assert sorted(messages(stage)) == ["its worker's own line", "last words", "own", "second"]
    assert len(stage.asker.post("/task_runs/filter").body) == 1


def test_a_refused_record_takes_no_other_run_s_with_it(stage: Stage) -> None:
    run, mine = stage.start(), stage.start()
    claims = {claim["flow_run"]["id"]: claim for claim in stage.claim()["claims"]}
    stage.set_state(run, "RUNNING", fence(claims[run]))
    both = [*told(run, "not mine"), *told(mine, "mine")]
    assert stage.asker.post("/logs/", both, fence(claims[mine], "n2")).status == 409
    assert messages(stage) == ["mine"]


# --- many reports at once, and what waits ---


def test_many_reports_are_answered_each_for_itself(stage: Stage) -> None:
    for _ in range(3):
        stage.start()
    claims = stage.claim()["claims"]
    reports = [
        {"flow_run_id": claim["flow_run"]["id"], "attempt": 1, "token": claim["token"], "event": "ended", "signal": 9}
        for claim in claims
    ]
    reports[1]["token"] = "guessed"
    reply = stage.asker.post("/work_pools/p/report", {"reports": reports})
    assert [(one["status"], one["state"] and one["state"]["type"]) for one in reply.body] == [
        (200, "CRASHED"),
        (409, None),
        (200, "CRASHED"),
    ]
    again = stage.asker.post("/work_pools/p/report", {"reports": reports})
    assert again.body == reply.body


def test_the_backlog_says_what_waits_and_how_much_more_could_run(stage: Stage) -> None:
    nothing = stage.asker.get("/work_pools/p/backlog").body
    assert nothing == {"waiting": 0, "late": 0, "oldest_seconds": None, "running": 0, "slots_free": None}
    for _ in range(3):
        stage.start()
    stage.start(state={"type": "SCHEDULED", "state_details": {"scheduled_time": "2999-01-01T00:00:00Z"}})
    stage.asker.patch("/work_pools/p", {"concurrency_limit": 5})
    stage.claim(limit=1)
    stage.asker.clock.advance(90)
    found = stage.asker.get("/work_pools/p/backlog").body
    assert found == {"waiting": 2, "late": 0, "oldest_seconds": 90.0, "running": 1, "slots_free": 4}
    assert stage.asker.get("/work_pools/p/backlog?queue=default").body == found
    stage.asker.patch("/work_pools/p", {"is_paused": True})
    assert stage.asker.get("/work_pools/p/backlog").body["slots_free"] == 0
    assert stage.asker.get("/work_pools/p/backlog?queue=defautl").status == 404
