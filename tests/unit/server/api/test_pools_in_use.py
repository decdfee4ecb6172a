"""Pools and queues with runs: what occupies them, what keeps them from being deleted, what moves."""

from __future__ import annotations

import pytest


@pytest.fixture
def busy(asker):
    """Pool `p` with queues `default` and `night`, deployment `d` in `night`."""
    asker.post("/work_pools/", {"name": "p", "type": "process", "concurrency_limit": 5})
    asker.post("/work_pools/p/queues", {"name": "night", "concurrency_limit": 2})
    flow = asker.post("/flows/", {"name": "f"}).body
    body = {"flow_id": flow["id"], "name": "d", "work_pool_name": "p", "work_queue_name": "night"}
    asker.deployment = asker.post("/deployments/", body).body
    return asker


def start(asker, *states: str) -> str:
    run = asker.post(f"/deployments/{asker.deployment['id']}/create_flow_run").body["id"]
    for state in states:
        answer = asker.post(f"/flow_runs/{run}/set_state", {"state": {"type": state}})
        assert answer.body["status"] == "ACCEPT", answer.body
    return run


def state(asker, run: str) -> str:
    return asker.get(f"/flow_runs/{run}").body["state_type"]


def test_what_is_pending_or_runs_occupies_its_pool_and_queue(busy) -> None:
    running = start(busy, "PENDING", "RUNNING")
    start(busy)
    assert busy.get("/work_pools/p").body["active_slots"] == 1
    assert busy.post("/work_pools/filter").body[0]["active_slots"] == 1
    assert busy.get("/work_pools/p/queues/night").body["active_slots"] == 1
    busy.clock.advance(90)
    status = busy.post("/work_pools/p/concurrency_status").body
    assert (status["active_slots"], status["concurrency_limit"]) == (1, 5)
    default, night = status["queues"]
    assert (default["queue_name"], default["active_slots"], default["flow_runs"]) == ("default", 0, [])
    assert (night["active_slots"], night["flow_run_count"], night["concurrency_limit"]) == (1, 1, 2)
    (shown,) = night["flow_runs"]
    assert (shown["id"], shown["state_type"]) == (running, "RUNNING")
    assert shown["time_in_current_state"] == pytest.approx(90, abs=1)


def test_the_runs_of_a_queue_are_shown_page_by_page(busy) -> None:
    runs = [start(busy, "PENDING") for _ in range(2)]
    queue = busy.get("/work_pools/p/queues/night").body["id"]
    pages = [busy.post(f"/work_queues/{queue}/concurrency_status", {"limit": 1, "page": n}).body for n in (1, 2)]
    assert [page["flow_runs"][0]["id"] for page in pages] == runs
    assert {(page["count"], page["pages"], page["active_slots"]) for page in pages} == {(2, 2, 2)}


def test_a_pool_with_runs_is_kept_and_says_how_many(busy) -> None:
    start(busy, "PENDING", "RUNNING")
    start(busy)
    start(busy)
    refused = busy.delete("/work_pools/p")
    assert (refused.status, refused.body["code"]) == (409, "WorkPoolInUse")
    assert "2 waiting and 1 running runs" in refused.body["detail"]
    assert busy.get("/work_pools/p").status == 200


def test_force_cancels_what_waits_and_deletes_the_pool_but_not_the_deployment(busy) -> None:
    waiting = [start(busy), start(busy)]
    assert busy.delete("/work_pools/p", "force=true").status == 204
    assert [state(busy, run) for run in waiting] == ["CANCELLED", "CANCELLED"]
    assert busy.get("/work_pools/p").status == 404
    left = busy.get(f"/deployments/{busy.deployment['id']}").body
    assert (left["work_pool_name"], left["work_queue_name"]) == (None, None)


def test_deleting_a_queue_moves_what_waits_there_to_the_default_queue(busy) -> None:
    run = start(busy)
    assert busy.delete("/work_pools/p/queues/night").status == 204
    moved = busy.get(f"/flow_runs/{run}").body
    assert (moved["work_queue_name"], moved["state_type"]) == ("default", "SCHEDULED")
    assert busy.get(f"/deployments/{busy.deployment['id']}").body["work_queue_name"] == "default"
    polled = busy.post("/work_pools/p/get_scheduled_flow_runs", {"work_queue_names": ["default"]}).body
    assert [found["flow_run"]["id"] for found in polled] == [run]


def test_renaming_a_queue_shows_on_deployments_and_runs(busy) -> None:
    run = start(busy)
    assert busy.patch("/work_pools/p/queues/night", {"name": "late"}).status == 204
    assert busy.get(f"/flow_runs/{run}").body["work_queue_name"] == "late"
    assert busy.get(f"/deployments/{busy.deployment['id']}").body["work_queue_name"] == "late"


def test_a_late_run_makes_its_queue_unhealthy(busy) -> None:
    run = start(busy)
    queue = busy.get("/work_pools/p/queues/night").body["id"]
    busy.patch(f"/work_queues/{queue}", {"last_polled": busy.clock.now().isoformat()})
    assert busy.get(f"/work_queues/{queue}/status").body["healthy"] is True
    late = {"state": {"type": "SCHEDULED", "name": "Late"}, "force": True}
    busy.post(f"/flow_runs/{run}/set_state", late)
    health = busy.get(f"/work_queues/{queue}/status").body
    assert (health["healthy"], health["late_runs_count"]) == (False, 1)
