"""Work pools, queues and workers."""

from __future__ import annotations

from live.scenario_basics import BAD_BODIES, NOBODY
from live.steps import Step, delete, get, patch, post

TEMPLATE = {
    "job_configuration": {"command": "{{ command }}", "env": "{{ env }}"},
    "variables": {
        "type": "object",
        "properties": {
            "command": {"type": "string", "title": "Command", "default": "ls"},
            "env": {"type": "object", "title": "Environment", "default": {}},
        },
    },
}


def pools() -> list[Step]:
    create, read, change = post("/work_pools/"), get("/work_pools/{name}"), patch("/work_pools/{name}")
    search = post("/work_pools/filter")
    return [
        create("new", {"name": "pool", "type": "process", "base_job_template": TEMPLATE}, {"pool": "id"}),
        create("second", {"name": "other", "type": "process", "concurrency_limit": 3, "is_paused": True,
                          "description": "d", "base_job_template": TEMPLATE}),
        create("taken name", {"name": "pool", "type": "process", "base_job_template": TEMPLATE}),
        create("reserved name", {"name": "prefect-x", "type": "process"}),
        *(create(name, {**body, "type": "process"} if isinstance(body, dict) else body)
          for name, body in BAD_BODIES.items()),
        create("negative limit", {"name": "n", "type": "process", "concurrency_limit": -1}),
        create("broken template", {"name": "n", "type": "process", "base_job_template": {"job_configuration": {}}}),
        create("undefined placeholder", {"name": "p", "type": "process", "base_job_template": {
            "job_configuration": {"command": "{{ nonesuch }}"}, "variables": {"type": "object", "properties": {}}}}),
        read("ok", name="pool"),
        read("nobody", name="nonesuch"),
        change("description and limit", {"description": "d", "concurrency_limit": 5}, name="pool"),
        change("pause", {"is_paused": True}, name="pool"),
        change("resume", {"is_paused": False}, name="pool"),
        change("no limit", {"concurrency_limit": None}, name="pool"),
        change("negative limit", {"concurrency_limit": -1}, name="pool"),
        change("another type", {"type": "kubernetes"}, name="pool"),
        change("unknown field", {"colour": 1}, name="pool"),
        change("nobody", {"description": "d"}, name="nonesuch"),
        search("all", {"work_pools": {"name": {"any_": ["pool", "other"]}}}),
        search("by type", {"work_pools": {"type": {"any_": ["kubernetes"]}}}),
        search("unknown operator", {"work_pools": {"name": {"like_": "x"}}}),
        search("limit 201", {"limit": 201}),
        post("/work_pools/count")("by name", {"work_pools": {"name": {"any_": ["pool"]}}}),
        post("/work_pools/{name}/concurrency_status")("ok", {}, name="other"),
        post("/work_pools/{name}/concurrency_status")("nobody", {}, name="nonesuch"),
    ]  # fmt: skip


def queues() -> list[Step]:
    create = post("/work_pools/{work_pool_name}/queues")
    read = get("/work_pools/{work_pool_name}/queues/{name}")
    change = patch("/work_pools/{work_pool_name}/queues/{name}")
    search = post("/work_pools/{work_pool_name}/queues/filter")
    remove = delete("/work_pools/{work_pool_name}/queues/{name}")
    return [
        create("new", {"name": "high", "priority": 1, "concurrency_limit": 2}, {"queue": "id"}, work_pool_name="pool"),
        create("plain", {"name": "low", "description": "d"}, work_pool_name="pool"),
        create("third", {"name": "gone"}, work_pool_name="pool"),
        create("taken name", {"name": "high"}, work_pool_name="pool"),
        create("no pool", {"name": "high"}, work_pool_name="nonesuch"),
        create("priority 0", {"name": "zero", "priority": 0}, work_pool_name="other"),
        create("negative priority", {"name": "less", "priority": -1}, work_pool_name="pool"),
        create("unknown field", {"name": "x", "colour": 1}, work_pool_name="pool"),
        create("slash in the name", {"name": "a/b"}, work_pool_name="pool"),
        read("ok", work_pool_name="pool", name="high"),
        read("default", work_pool_name="pool", name="default"),
        read("nobody", work_pool_name="pool", name="nonesuch"),
        change("pause", {"is_paused": True}, work_pool_name="pool", name="low"),
        change("resume", {"is_paused": False, "priority": 4}, work_pool_name="pool", name="low"),
        change("unknown field", {"colour": 1}, work_pool_name="pool", name="low"),
        change("nobody", {"priority": 1}, work_pool_name="pool", name="nonesuch"),
        search("all", {}, work_pool_name="pool"),
        search("by name", {"work_queues": {"name": {"startswith_": ["HI"]}}}, work_pool_name="pool"),
        search("no pool", {}, work_pool_name="nonesuch"),
        search("unknown operator", {"work_queues": {"name": {"like_": "x"}}}, work_pool_name="pool"),
        remove("ok", work_pool_name="pool", name="gone"),
        remove("nobody", work_pool_name="pool", name="gone"),
        get("/work_queues/{id}")("ok", id="<queue>"),
        get("/work_queues/{id}")("nobody", id=NOBODY),
        patch("/work_queues/{id}")("description", {"description": "e"}, id="<queue>"),
        patch("/work_queues/{id}")("nobody", {"description": "e"}, id=NOBODY),
        post("/work_queues/filter")("by name", {"work_queues": {"name": {"any_": ["high"]}}}),
        get("/work_queues/{id}/status")("ok", id="<queue>"),
        get("/work_queues/{id}/status")("nobody", id=NOBODY),
        post("/work_queues/{id}/concurrency_status")("ok", {}, id="<queue>"),
        post("/work_queues/{id}/concurrency_status")("nobody", {}, id=NOBODY),
    ]


def workers() -> list[Step]:
    beat, search = (
        post("/work_pools/{work_pool_name}/workers/heartbeat"),
        post("/work_pools/{work_pool_name}/workers/filter"),
    )
    remove = delete("/work_pools/{work_pool_name}/workers/{name}")
    return [
        beat("new", {"name": "w1", "heartbeat_interval_seconds": 30}, work_pool_name="pool"),
        beat("again", {"name": "w1", "heartbeat_interval_seconds": 30}, work_pool_name="pool"),
        beat("no name", {}, work_pool_name="pool"),
        beat("no pool", {"name": "w1"}, work_pool_name="nonesuch"),
        get("/work_pools/{name}")("ready", name="pool"),
        search("all", {}, work_pool_name="pool"),
        search("by status", {"workers": {"status": {"any_": ["OFFLINE"]}}}, work_pool_name="pool"),
        search("unknown status", {"workers": {"status": {"any_": ["ASLEEP"]}}}, work_pool_name="pool"),
        search("no pool", {}, work_pool_name="nonesuch"),
        remove("ok", work_pool_name="pool", name="w1"),
        remove("nobody", work_pool_name="pool", name="w1"),
        remove("no pool", work_pool_name="nonesuch", name="w1"),
    ]


def polling() -> list[Step]:
    poll, of_queue = post("/work_pools/{name}/get_scheduled_flow_runs"), post("/work_queues/{id}/get_runs")
    return [
        poll("all queues", {}, name="pool"),
        poll("one queue", {"work_queue_names": ["low"]}, name="pool"),
        poll("before a time", {"scheduled_before": "2031-01-01T00:00:00Z", "limit": 1}, name="pool"),
        poll("unknown queue", {"work_queue_names": ["nonesuch"]}, name="pool"),
        poll("no pool", {}, name="nonesuch"),
        poll("limit 201", {"limit": 201}, name="pool"),
        of_queue("ok", {}, id="<queue>"),
        of_queue("nobody", {}, id=NOBODY),
        post("/work_pools/{name}/concurrency_status")("with a queue", {}, name="pool"),
    ]


def farewell() -> list[Step]:
    return [
        delete("/work_queues/{id}")("ok", id="<queue>"),
        delete("/work_queues/{id}")("nobody", id=NOBODY),
        delete("/work_pools/{name}")("ok", name="other"),
        delete("/work_pools/{name}")("nobody", name="other"),
    ]
