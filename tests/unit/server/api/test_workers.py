"""Workers: admitted only to pools of their type, known by name, online while they are heard."""

from __future__ import annotations

from uuid import uuid4

import pytest

TEMPLATE = {
    "job_configuration": {"image": "{{ image }}"},
    "variables": {"type": "object", "properties": {"image": {"type": "string"}}},
}
FLEETING = {"job_configuration": {}, "variables": {"type": "object", "properties": {}}}


@pytest.fixture
def pool(asker):
    asker.post("/work_pools/", {"name": "p", "type": "process"})
    return asker


def register(asker, name="w", **more):
    return asker.post("/work_pools/p/workers", {"type": "process", "name": name, **more})


def workers(asker, **query):
    return asker.post("/work_pools/p/workers/filter", query).body


def test_registration_answers_with_the_worker_and_the_queues_it_serves(pool) -> None:
    pool.post("/work_pools/p/queues", {"name": "first", "priority": 0})
    reply = register(pool)
    assert reply.status == 201
    assert (reply.body["work_pool_name"], reply.body["type"]) == ("p", "process")
    assert reply.body["work_queues"] == ["first", "default"]
    assert register(pool, "w2", work_queues=["default"]).body["work_queues"] == ["default"]
    assert pool.get("/work_pools/p").body["status"] == "READY"


def test_a_worker_of_another_type_is_refused_with_the_exact_message(asker) -> None:
    asker.post("/work_pools/", {"name": "p", "type": "kubernetes", "base_job_template": TEMPLATE})
    refused = register(asker)
    assert refused.status == 409
    assert refused.body == {
        "code": "WorkerTypeNotSupportedError",
        "detail": "Worker type 'process' is not compatible with work pool type 'kubernetes'. "
        "Worker type must be 'kubernetes'.",
    }
    assert workers(asker) == []
    assert asker.get("/work_pools/p").body["status"] == "NOT_READY"


def test_a_heartbeat_that_says_another_type_is_refused_too(pool) -> None:
    refused = pool.post("/work_pools/p/workers/heartbeat", {"name": "w", "type": "docker"})
    assert refused.body["code"] == "WorkerTypeNotSupportedError"
    assert workers(pool) == []


def test_a_live_name_is_refused_and_a_silent_one_taken_over(pool) -> None:
    first = register(pool, heartbeat_interval_seconds=10).body
    taken = register(pool)
    assert (taken.status, taken.body["code"]) == (409, "WorkerNameTakenError")
    pool.clock.advance(31)
    second = register(pool)
    assert second.status == 201
    assert second.body["worker_id"] != first["worker_id"]
    assert len(workers(pool)) == 1


def test_registering_again_with_the_same_id_is_safe(pool) -> None:
    id = str(uuid4())
    assert register(pool, worker_id=id).status == 201
    again = register(pool, worker_id=id)
    assert (again.status, again.body["worker_id"]) == (201, id)


def test_an_unknown_queue_is_refused_with_the_nearest_and_the_remedy(pool) -> None:
    refused = register(pool, work_queues=["defalt"])
    assert refused.status == 404
    assert "'defalt' not found in work pool 'p'. Did you mean 'default'?" in refused.body["detail"]
    assert "work-queue create defalt --pool p" in refused.body["detail"]


def test_registration_and_heartbeats_carry_queues_limit_and_runs(pool) -> None:
    runs = [str(uuid4()), str(uuid4())]
    id = register(pool, work_queues=["default"], limit=3, flow_run_ids=runs[:1]).body["worker_id"]
    (shown,) = workers(pool)
    assert (shown["type"], shown["work_queues"], shown["limit"], shown["flow_run_ids"]) == (
        "process",
        ["default"],
        3,
        runs[:1],
    )
    beat = {"name": "w", "worker_id": id, "limit": 5, "flow_run_ids": runs, "heartbeat_interval_seconds": 7}
    assert pool.post("/work_pools/p/workers/heartbeat", beat).status == 204
    (shown,) = workers(pool)
    assert (shown["limit"], shown["flow_run_ids"], shown["heartbeat_interval_seconds"]) == (5, runs, 7)


def test_a_stock_heartbeat_makes_a_worker_of_unknown_type_and_the_pool_ready(pool) -> None:
    stock = {"name": "stock", "heartbeat_interval_seconds": 30}
    assert pool.post("/work_pools/p/workers/heartbeat", stock).status == 204
    (shown,) = workers(pool)
    assert (shown["name"], shown["status"], shown["type"]) == ("stock", "ONLINE", None)
    assert pool.get("/work_pools/p").body["status"] == "READY"


def test_a_heartbeat_of_another_worker_of_that_name_is_refused(pool) -> None:
    register(pool)
    beat = {"name": "w", "worker_id": str(uuid4())}
    refused = pool.post("/work_pools/p/workers/heartbeat", beat)
    assert (refused.status, refused.body["code"]) == (409, "WorkerNameTakenError")


def test_leaving_makes_a_worker_offline_at_once_and_frees_its_name(pool) -> None:
    register(pool)
    assert pool.post("/work_pools/p/workers/w/offline").status == 204
    assert workers(pool)[0]["status"] == "OFFLINE"
    assert pool.get("/work_pools/p").body["status"] == "NOT_READY"
    assert register(pool).status == 201


def test_workers_are_filtered_by_status_and_last_heartbeat(pool) -> None:
    register(pool, "old")
    pool.post("/work_pools/p/workers/old/offline")
    moment = pool.clock.advance(60).isoformat()
    register(pool, "new")
    assert [w["name"] for w in workers(pool)] == ["new", "old"]
    assert [w["name"] for w in workers(pool, workers={"status": {"any_": ["ONLINE"]}})] == ["new"]
    assert [w["name"] for w in workers(pool, workers={"status": {"not_any_": ["ONLINE"]}})] == ["old"]
    assert [w["name"] for w in workers(pool, workers={"last_heartbeat_time": {"after_": moment}})] == ["new"]
    either = {"operator": "or_", "status": {"any_": ["OFFLINE"]}, "last_heartbeat_time": {"after_": moment}}
    assert len(workers(pool, workers=either)) == 2
    assert [w["name"] for w in workers(pool, limit=1, offset=1)] == ["old"]


def test_deleting_a_worker_forgets_it(pool) -> None:
    register(pool)
    assert pool.delete("/work_pools/p/workers/w").status == 204
    assert workers(pool) == []
    assert pool.delete("/work_pools/p/workers/w").status == 404


def test_the_first_worker_of_an_unknown_type_brings_the_default_template(asker) -> None:
    asker.post("/work_pools/", {"name": "p", "type": "abacus", "base_job_template": FLEETING})
    said = {"type": "abacus", "name": "w", "base_job_template": TEMPLATE}
    assert asker.post("/work_pools/p/workers", said).status == 201
    made = asker.post("/work_pools/", {"name": "second", "type": "abacus"})
    assert made.status == 201
    assert made.body["base_job_template"] == TEMPLATE
    assert "warnings" not in made.body
    view = asker.get("/collections/views/aggregate-worker-metadata").body
    assert view["headway"]["abacus"]["default_base_job_configuration"] == TEMPLATE


def test_a_template_that_is_none_is_refused(asker) -> None:
    asker.post("/work_pools/", {"name": "p", "type": "abacus", "base_job_template": FLEETING})
    said = {"type": "abacus", "name": "w", "base_job_template": {"job_configuration": 3, "variables": {}}}
    assert asker.post("/work_pools/p/workers", said).status == 422
