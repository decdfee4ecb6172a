"""The server itself, flows, logs, collections: plain resources, good and bad input."""

from __future__ import annotations

from live.steps import Step, delete, get, patch, post

NOBODY = "00000000-0000-4000-8000-000000000000"
BAD_BODIES = {
    "unknown field": {"name": "x", "colour": "red"},
    "no name": {},
    "name of a wrong type": {"name": 7},
    "slash in the name": {"name": "a/b"},
    "not an object": [],
    "not JSON": "{",
}


def root() -> list[Step]:
    return [
        get("/health")("ok"),
        get("/ready")("ok"),
        get("/hello")("ok"),
        get("/version")("ok"),
        get("/admin/version")("ok"),
        get("/csrf-token")("switched off", query="client=abc"),
        get("/csrf-token")("no client"),
        get("/no/such/route")("404"),
        post("/health")("wrong method", {}),
        get("/collections/views/{view}")("no such view", view="nonsense"),
    ]


def flows() -> list[Step]:
    create, read, change = post("/flows/"), get("/flows/{id}"), patch("/flows/{id}")
    search = post("/flows/filter")
    return [
        create("new", {"name": "first", "tags": ["a"], "labels": {"n": 1, "b": True}}, {"flow": "id"}),
        create("again", {"name": "first"}),
        create("second", {"name": "second"}, {"second": "id"}),
        create("third", {"name": "third"}, {"third": "id"}),
        *(create(name, body) for name, body in BAD_BODIES.items()),
        create("ill-typed tags", {"name": "x", "tags": "a"}),
        read("ok", id="<flow>"),
        read("nobody", id=NOBODY),
        read("not an id", id="abc"),
        get("/flows/name/{name}")("ok", name="first"),
        get("/flows/name/{name}")("nobody", name="nonesuch"),
        change("tags", {"tags": ["b"]}, id="<flow>"),
        change("nothing", {}, id="<flow>"),
        change("unknown field", {"colour": 1}, id="<flow>"),
        change("nobody", {"tags": []}, id=NOBODY),
        search("all", {}),
        search("by name", {"flows": {"name": {"any_": ["first"]}}}),
        search("sorted and cut", {"sort": "NAME_DESC", "limit": 2, "offset": 1}),
        search("limit 0", {"limit": 0}),
        search("limit 201", {"limit": 201}),
        search("negative offset", {"offset": -1}),
        search("unknown sort", {"sort": "SIZE_ASC"}),
        search("unknown operator", {"flows": {"name": {"near_": "x"}}}),
        search("unknown field of a filter", {"flows": {"colour": {"any_": []}}}),
        search("nulls", {"flows": None, "limit": None, "sort": None}),
        post("/flows/count")("all", {}),
        post("/flows/count")("bad filter", {"flows": {"id": {"any_": ["abc"]}}}),
        post("/flows/paginate")("first page", {"limit": 2}),
        post("/flows/paginate")("page past the end", {"limit": 2, "page": 9}),
        post("/flows/paginate")("page 0", {"page": 0}),
        delete("/flows/{id}")("ok", id="<second>"),
        delete("/flows/{id}")("nobody", id="<second>"),
        post("/flows/bulk_delete")("one", {"flows": {"id": {"any_": ["<third>"]}}}),
        post("/flows/bulk_delete")("limit 51", {"limit": 51, "flows": {"id": {"any_": []}}}),
    ]


def logs() -> list[Step]:
    create, search = post("/logs/"), post("/logs/filter")
    line = {"name": "n", "level": 20, "message": "m", "timestamp": "2030-01-01T00:00:00Z", "flow_run_id": "<run>"}
    return [
        create("two", [line, {**line, "level": 30, "message": "error of sorts"}]),
        create("none", []),
        create("no level", [{"name": "n", "message": "m", "timestamp": "2030-01-01T00:00:00Z"}]),
        create("unknown field", [{**line, "colour": 1}]),
        create("not a list", line),
        search("of the run", {"logs": {"flow_run_id": {"any_": ["<run>"]}}}, until=lambda found: len(found) == 2),
        search("by level and text", {"logs": {"level": {"ge_": 30}, "text": {"query": "error -fatal"}}}),
        search("sorted", {"sort": "TIMESTAMP_DESC", "limit": 1, "logs": {"flow_run_id": {"any_": ["<run>"]}}}),
        search("unknown sort", {"sort": "LEVEL"}),
        search("limit 201", {"limit": 201}),
        get("/flow_runs/{id}/logs/download")("ok", id="<run>"),
        get("/flow_runs/{id}/logs/download")("nobody", id=NOBODY),
    ]
