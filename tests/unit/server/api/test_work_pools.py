"""/work_pools: made with a template and a default queue, changed in everything but their type."""

from __future__ import annotations

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from headway.store.tables import work_pool

TEMPLATE = {
    "job_configuration": {"image": "{{ image }}"},
    "variables": {"type": "object", "properties": {"image": {"type": "string"}}},
}


def test_a_new_pool_has_a_default_queue_and_the_template_of_its_driver(asker) -> None:
    made = asker.post("/work_pools/", {"name": "p", "type": "process"})
    assert made.status == 201
    assert made.body["status"] == "NOT_READY"
    assert "working_dir" in made.body["base_job_template"]["variables"]["properties"]
    queue = asker.get("/work_pools/p/queues/default").body
    assert queue["id"] == made.body["default_queue_id"]
    assert queue["priority"] == 1
    assert "warnings" not in made.body


def test_a_taken_name_is_a_conflict_and_a_reserved_one_forbidden(asker) -> None:
    asker.post("/work_pools/", {"name": "p", "type": "process"})
    again = asker.post("/work_pools/", {"name": "p", "type": "process"})
    assert (again.status, "'p' already exists" in again.body["detail"]) == (409, True)
    for name in ("prefect-managed", "Prefect", "prefectly"):
        reserved = asker.post("/work_pools/", {"name": name, "type": "process"})
        assert (reserved.status, name in reserved.body["detail"]) == (403, True)


def test_a_type_nobody_knows_needs_an_explicit_template_and_then_gets_a_warning(asker) -> None:
    refused = asker.post("/work_pools/", {"name": "p", "type": "proces"})
    assert refused.status == 422
    fault = refused.body["exception_detail"][0]
    assert fault["loc"] == ["body", "type"]
    assert "Did you mean 'process'?" in fault["msg"]
    made = asker.post("/work_pools/", {"name": "p", "type": "abacus", "base_job_template": TEMPLATE})
    assert made.status == 201
    assert "'abacus' is not known here; known types: process" in made.body["warnings"][0]


def test_the_references_agent_type_needs_no_template_and_has_no_status(asker) -> None:
    made = asker.post("/work_pools/", {"name": "p"})
    assert (made.status, made.body["type"], made.body["status"]) == (201, "prefect-agent", None)


@pytest.mark.parametrize(
    "given",
    [
        {"working_dir": "/srv"},
        {"job_configuration": {"working_dir": "/srv"}},
    ],
)
def test_a_flat_object_of_defaults_and_a_plain_configuration_are_templates_too(asker, given) -> None:
    made = asker.post("/work_pools/", {"name": "p", "type": "process", "base_job_template": given})
    assert made.status == 201, made.body
    assert made.body["base_job_template"]["variables"]["properties"]["working_dir"]["default"] == "/srv"


def test_a_default_that_the_type_does_not_have_is_refused_with_the_allowed_ones(asker) -> None:
    refused = asker.post("/work_pools/", {"name": "p", "type": "process", "base_job_template": {"workingdir": "/"}})
    assert refused.status == 422
    message = refused.body["exception_detail"][0]["msg"]
    assert "'workingdir'" in message
    assert "working_dir" in message


def test_another_type_is_refused_with_the_reason_and_what_to_do_and_the_same_type_is_fine(asker) -> None:
    asker.post("/work_pools/", {"name": "p", "type": "process"})
    refused = asker.patch("/work_pools/p", {"type": "kubernetes"})
    assert (refused.status, refused.body["code"]) == (409, "WorkPoolTypeImmutable")
    assert "'process' and never changes" in refused.body["detail"]
    assert "Create another pool" in refused.body["detail"]
    assert asker.patch("/work_pools/p", {"type": "process", "description": "x"}).status == 204
    assert asker.get("/work_pools/p").body["description"] == "x"


def test_the_database_itself_refuses_another_type(asker) -> None:
    asker.post("/work_pools/", {"name": "p", "type": "process"})
    statement = update(work_pool).values(type="kubernetes")
    with pytest.raises(IntegrityError, match="never changes"):
        asker.run(asker.server.database.write(lambda connection: connection.execute(statement)))


def test_pausing_and_resuming_shows_in_the_status(asker) -> None:
    asker.post("/work_pools/", {"name": "p", "type": "process"})
    asker.patch("/work_pools/p", {"is_paused": True})
    assert asker.get("/work_pools/p").body["status"] == "PAUSED"
    asker.patch("/work_pools/p", {"is_paused": False})
    assert asker.get("/work_pools/p").body["status"] == "NOT_READY"
    asker.post("/work_pools/p/workers", {"type": "process", "name": "w"})
    asker.patch("/work_pools/p", {"is_paused": True})
    asker.post("/work_pools/p/workers/heartbeat", {"name": "w"})
    assert asker.get("/work_pools/p").body["status"] == "PAUSED"
    asker.patch("/work_pools/p", {"is_paused": False})
    assert asker.get("/work_pools/p").body["status"] == "READY"


def test_limits_show_their_use_and_can_be_cleared(asker) -> None:
    asker.post("/work_pools/", {"name": "p", "type": "process", "concurrency_limit": 5})
    assert asker.get("/work_pools/p").body["active_slots"] == 0
    asker.patch("/work_pools/p", {"concurrency_limit": None})
    assert asker.get("/work_pools/p").body["active_slots"] is None
    assert asker.patch("/work_pools/p", {"concurrency_limit": -1}).status == 422


def test_an_unknown_pool_names_the_nearest_ones_on_every_route(asker) -> None:
    asker.post("/work_pools/", {"name": "process-pool", "type": "process"})
    for method, path, body in (
        ("GET", "/work_pools/proces-pool", None),
        ("PATCH", "/work_pools/proces-pool", {"description": "x"}),
        ("DELETE", "/work_pools/proces-pool", None),
        ("POST", "/work_pools/proces-pool/queues", {"name": "q"}),
        ("POST", "/work_pools/proces-pool/queues/filter", {}),
        ("POST", "/work_pools/proces-pool/concurrency_status", {}),
        ("POST", "/work_pools/proces-pool/workers", {"type": "process", "name": "w"}),
        ("POST", "/work_pools/proces-pool/workers/heartbeat", {"name": "w"}),
        ("POST", "/work_pools/proces-pool/workers/filter", {}),
    ):
        reply = asker.ask(method, path, body)
        assert reply.status == 404, path
        assert "Did you mean 'process-pool'?" in reply.body["detail"], path


def test_pools_are_filtered_counted_and_listed_by_name(asker) -> None:
    for name in ("b", "a", "c"):
        asker.post("/work_pools/", {"name": name, "type": "process"})
    assert [pool["name"] for pool in asker.post("/work_pools/filter").body] == ["a", "b", "c"]
    chosen = {"work_pools": {"name": {"any_": ["c", "a"]}}}
    assert [pool["name"] for pool in asker.post("/work_pools/filter", chosen).body] == ["a", "c"]
    assert asker.post("/work_pools/count", chosen).body == 2
    assert asker.post("/work_pools/filter", {"limit": 201}).status == 422


def test_an_empty_pool_is_deleted_with_its_queues(asker) -> None:
    made = asker.post("/work_pools/", {"name": "p", "type": "process"}).body
    assert asker.delete("/work_pools/p").status == 204
    assert asker.get("/work_pools/p").status == 404
    assert asker.get(f"/work_queues/{made['default_queue_id']}").status == 404


def test_a_name_that_cannot_be_part_of_a_url_is_refused(asker) -> None:
    refused = asker.post("/work_pools/", {"name": "a/b", "type": "process"})
    fault = refused.body["exception_detail"][0]
    assert (refused.status, fault["loc"]) == (422, ["body", "name"])
    assert fault["msg"] == "A name must not be empty or contain / % & > <"


def test_unknown_fields_are_refused_by_name(asker) -> None:
    refused = asker.post("/work_pools/", {"name": "p", "type": "process", "concurency_limit": 3})
    assert refused.status == 422
    assert refused.body["exception_detail"][0]["loc"] == ["body", "concurency_limit"]


def test_concurrency_status_lists_the_queues_in_the_order_they_are_served(asker) -> None:
    asker.post("/work_pools/", {"name": "p", "type": "process", "concurrency_limit": 4})
    asker.post("/work_pools/p/queues", {"name": "first", "priority": 0, "concurrency_limit": 2})
    status = asker.post("/work_pools/p/concurrency_status", {"limit": 1}).body
    assert [queue["queue_name"] for queue in status["queues"]] == ["first"]
    assert (status["count"], status["pages"], status["page"], status["concurrency_limit"]) == (2, 2, 1, 4)


def test_the_collections_view_has_the_installed_types_with_their_templates(asker) -> None:
    view = asker.get("/collections/views/aggregate-worker-metadata").body
    process = view["headway"]["process"]
    assert process["type"] == "process"
    assert "job_configuration" in process["default_base_job_configuration"]
    assert asker.get("/collections/views/demo-flows").body == {}
    assert asker.get("/collections/views/nothing").status == 404
