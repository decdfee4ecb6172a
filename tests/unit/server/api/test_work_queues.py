"""Work queues: priorities, pauses, limits, and in words which queue is served when."""

from __future__ import annotations

from urllib.parse import unquote

import pytest


@pytest.fixture
def pool(asker):
    asker.post("/work_pools/", {"name": "p", "type": "process"})
    return asker


def priorities(asker) -> dict[str, int]:
    return {queue["name"]: queue["priority"] for queue in asker.post("/work_pools/p/queues/filter").body}


def test_creating_says_which_queues_it_is_served_before_and_after(pool) -> None:
    made = pool.post("/work_pools/p/queues", {"name": "slow"})
    assert made.status == 201
    assert made.body["served_order"] == "Queue 'slow' (priority 2) is served after 'default'."
    first = pool.post("/work_pools/p/queues", {"name": "priority", "priority": 0})
    assert first.body["served_order"] == "Queue 'priority' (priority 0) is served before 'default' and 'slow'."


def test_updating_says_it_in_a_header_because_the_answer_has_no_body(pool) -> None:
    pool.post("/work_pools/p/queues", {"name": "langsam-ü"})
    changed = pool.patch("/work_pools/p/queues/langsam-%C3%BC", {"priority": 0})
    assert (changed.status, changed.body) == (204, None)
    words = unquote(changed.headers["headway-served-order"])
    assert words == "Queue 'langsam-ü' (priority 0) is served before 'default'."


def test_a_queue_takes_the_place_of_the_one_that_had_its_priority(pool) -> None:
    pool.post("/work_pools/p/queues", {"name": "first", "priority": 1})
    assert priorities(pool) == {"first": 1, "default": 2}
    pool.patch("/work_pools/p/queues/default", {"priority": 1})
    assert priorities(pool) == {"default": 1, "first": 2}


def test_queues_are_listed_in_the_order_they_are_served(pool) -> None:
    for name, priority in (("night", 9), ("now", 0), ("soon", 2)):
        pool.post("/work_pools/p/queues", {"name": name, "priority": priority})
    listed = pool.post("/work_pools/p/queues/filter").body
    assert [queue["name"] for queue in listed] == ["now", "default", "soon", "night"]
    assert {queue["work_pool_name"] for queue in listed} == {"p"}
    some = pool.post("/work_pools/p/queues/filter", {"work_queues": {"name": {"startswith_": ["n"]}}, "limit": 1})
    assert [queue["name"] for queue in some.body] == ["now"]


def test_the_automatic_default_queue_is_a_conflict_on_the_wire(pool) -> None:
    refused = pool.post("/work_pools/p/queues", {"name": "default", "priority": 3})
    assert refused.status == 409
    assert "work-queue update default --pool p" in refused.body["detail"]


def test_a_negative_priority_and_an_unknown_queue_are_refused(pool) -> None:
    assert pool.post("/work_pools/p/queues", {"name": "q", "priority": -1}).status == 422
    unknown = pool.get("/work_pools/p/queues/defualt")
    assert (unknown.status, unknown.body["detail"]) == (
        404,
        "Work queue 'p/defualt' not found. Did you mean 'default'?",
    )


def test_pausing_and_resuming_shows_in_the_status(pool) -> None:
    pool.patch("/work_pools/p/queues/default", {"is_paused": True})
    assert pool.get("/work_pools/p/queues/default").body["status"] == "PAUSED"
    pool.patch("/work_pools/p/queues/default", {"is_paused": False})
    assert pool.get("/work_pools/p/queues/default").body["status"] == "NOT_READY"


def test_a_queue_polled_within_the_minute_resumes_as_ready(pool) -> None:
    now = pool.clock.now().isoformat()
    pool.patch("/work_pools/p/queues/default", {"is_paused": True, "last_polled": now})
    pool.clock.advance(59)
    pool.patch("/work_pools/p/queues/default", {"is_paused": False})
    assert pool.get("/work_pools/p/queues/default").body["status"] == "READY"


def test_the_default_queue_can_neither_be_deleted_nor_renamed(pool) -> None:
    assert pool.delete("/work_pools/p/queues/default").body["code"] == "DefaultQueue"
    assert pool.patch("/work_pools/p/queues/default", {"name": "x"}).status == 409
    pool.post("/work_pools/p/queues", {"name": "q"})
    assert pool.delete("/work_pools/p/queues/q").status == 204
    assert pool.get("/work_pools/p/queues/q").status == 404


def test_by_id_the_same_queue_is_read_changed_and_judged(pool) -> None:
    queue = pool.post("/work_pools/p/queues", {"name": "q", "concurrency_limit": 3}).body
    path = f"/work_queues/{queue['id']}"
    assert pool.get(path).body["name"] == "q"
    assert pool.patch(path, {"concurrency_limit": None, "description": "d"}).status == 204
    changed = pool.get(path).body
    assert (changed["concurrency_limit"], changed["description"]) == (None, "d")
    health = pool.get(f"{path}/status").body
    assert (health["healthy"], health["late_runs_count"]) == (False, 0)
    pool.patch(path, {"last_polled": pool.clock.now().isoformat()})
    assert pool.get(f"{path}/status").body["healthy"] is True
    assert pool.post(f"{path}/concurrency_status").body["active_slots"] == 0
    assert pool.delete(path).status == 204
    assert pool.get(path).status == 404


def test_a_queue_without_a_pool_goes_to_the_agent_pool(asker) -> None:
    made = asker.post("/work_queues/", {"name": "old"})
    assert (made.status, made.body["work_pool_name"]) == (201, "default-agent-pool")
    assert asker.get("/work_queues/name/old").body["id"] == made.body["id"]
    assert asker.get("/work_queues/name/none").status == 404
    listed = asker.post("/work_queues/filter").body
    assert [queue["name"] for queue in listed] == ["default", "old"]


def test_two_queues_cannot_have_one_name(pool) -> None:
    pool.post("/work_pools/p/queues", {"name": "a"})
    pool.post("/work_pools/p/queues", {"name": "b"})
    assert pool.post("/work_pools/p/queues", {"name": "a"}).status == 409
    assert pool.patch("/work_pools/p/queues/b", {"name": "a"}).status == 409
