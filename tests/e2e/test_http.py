"""The API as any HTTP client sees it: raw requests to a real server, and what it says to bad ones."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from uuid import uuid4

import pytest

from headway.testing.processes import Place

NOBODY = "00000000-0000-0000-0000-000000000000"
TEMPLATE = {"job_configuration": {"image": "{{ image }}"}, "variables": {"properties": {"image": {"type": "string"}}}}
SCHEMA = {
    "type": "object",
    "properties": {"day": {"type": "string"}, "rows": {"type": "integer"}},
    "required": ["day"],
}


class Http:
    """Requests without any client of ours."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """(status, decoded body)."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, content, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.status, json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    def make(self, path: str, **fields: Any) -> Any:
        status, made = self.call("POST", path, fields)
        assert status in (200, 201), made
        return made


@pytest.fixture
def http(site: Place) -> Http:
    """A server with a process pool, a pool of another type, a flow and a deployment."""
    assert site.url is not None
    http = Http(site.url)
    http.make("/work_pools/", name="local", type="process")
    http.make("/work_pools/", name="k8s", type="kubernetes", base_job_template=TEMPLATE)
    return http


@pytest.fixture
def flow(http: Http) -> str:
    made: str = http.make("/flows/", name="etl")["id"]
    return made


@pytest.fixture
def deployment(http: Http, flow: str) -> str:
    fields = {"work_pool_name": "local", "parameter_openapi_schema": SCHEMA, "enforce_parameter_schema": True}
    made: str = http.make("/deployments/", name="nightly", flow_id=flow, parameters={"day": "today"}, **fields)["id"]
    return made


def test_a_client_that_connects_finds_what_it_asks_first(http: Http) -> None:
    assert http.call("GET", "/health") == (200, True)
    assert http.call("GET", "/version") == (200, "0.8.4")
    assert http.call("GET", "/admin/version")[1].split(".")[0] == "3"
    assert http.call("GET", "/ready")[0] == 200
    assert http.call("GET", "/hello")[0] == 200
    assert http.call("GET", f"/csrf-token?client={uuid4()}")[0] in (404, 422)


def test_a_worker_of_another_type_is_refused_with_409_code_and_message(http: Http) -> None:
    status, body = http.call("POST", "/work_pools/k8s/workers", {"name": "w1", "type": "process"})
    assert status == 409
    assert body == {
        "code": "WorkerTypeNotSupportedError",
        "detail": "Worker type 'process' is not compatible with work pool type 'kubernetes'. "
        "Worker type must be 'kubernetes'.",
    }
    assert http.call("POST", "/work_pools/k8s/workers/filter", {}) == (200, [])


def test_what_is_wrong_has_the_status_and_the_body_of_the_contract(http: Http, flow: str) -> None:
    status, body = http.call("GET", f"/flow_runs/{NOBODY}")
    assert (status, set(body)) == (404, {"detail"})
    status, body = http.call("POST", "/work_pools/", {"name": "local", "type": "process"})
    assert (status, "local" in body["detail"]) == (409, True)
    status, body = http.call("POST", "/flow_runs/", {"flow_id": flow, "colour": "red"})
    assert status == 422
    assert body["exception_message"] == "Invalid request received."
    assert "colour" in json.dumps(body["exception_detail"])
    assert body["request_body"] == {"flow_id": flow, "colour": "red"}
    status, body = http.call("POST", f"/flow_runs/{NOBODY}/lease/renew")
    assert status in (404, 409, 410)
    assert http.call("POST", "/flow_runs/filter", {"limit": 201})[0] == 422
    assert http.call("GET", "/no/such/path")[0] == 404


def test_job_variables_that_do_not_fit_are_refused_with_the_allowed_ones(
    http: Http, flow: str, deployment: str
) -> None:
    asked = {"name": "d", "flow_id": flow, "work_pool_name": "local", "job_variables": {"imgae": "x"}}
    for path, body in (
        ("/deployments/", asked),
        (f"/deployments/{deployment}/create_flow_run", {"job_variables": {"imgae": "x"}}),
    ):
        status, said = http.call("POST", path, body)
        assert status == 422
        for words in ("imgae", "working_dir", "stream_output"):
            assert words in json.dumps(said), said
    ill_typed = {"job_variables": {"stream_output": "maybe"}}
    status, said = http.call("POST", f"/deployments/{deployment}/create_flow_run", ill_typed)
    assert (status, "stream_output" in json.dumps(said)) == (422, True)


BAD: list[tuple[str, dict[str, Any], int, str]] = [
    ("/deployments/", {"work_pool_name": "locl"}, 404, "Did you mean 'local'?"),
    ("/deployments/", {"flow_id": NOBODY}, 404, NOBODY),
    ("/deployments/", {"schedules": [{"schedule": {"cron": "61 * * * *"}}]}, 422, "61 * * * *"),
    ("/deployments/", {"schedules": [{"schedule": {"cron": "0 6 * * *", "timezone": "Europe/Berln"}}]}, 422, "Berln"),
    ("/deployments/", {"schedules": [{"schedule": {"interval": -5}}]}, 422, "interval"),
    ("/deployments/{id}/create_flow_run", {"parameters": {"dya": "x", "day": "x"}}, 409, "dya"),
    ("/deployments/{id}/create_flow_run", {"parameters": {"rows": "many"}}, 409, "rows"),
    ("/work_pools/", {"name": "x", "type": "proces"}, 422, "known types: process"),
    ("/work_pools/local/workers", {"name": "w", "type": "process", "work_queues": ["defalt"]}, 404, "'default'"),
    ("/work_pools/locl/workers", {"name": "w", "type": "process"}, 404, "Did you mean 'local'?"),
    ("/work_pools/local/queues", {"name": "q", "priority": -1}, 422, "priority"),
    ("/flow_runs/filter", {"sort": "BY_COLOUR"}, 422, "BY_COLOUR"),
    ("/flow_runs/filter", {"flow_runs": {"colour": {"any_": ["red"]}}}, 422, "colour"),
]


def test_bad_input_names_the_thing(http: Http, flow: str, deployment: str) -> None:
    for path, fields, expected, words in BAD:
        whole = {"name": "d", "flow_id": flow, **fields} if path == "/deployments/" else fields
        status, said = http.call("POST", path.format(id=deployment), whole)
        assert (status, words in json.dumps(said)) == (expected, True), f"{path} {fields}: {status} {said}"
    assert http.call("POST", "/flow_runs/count", {}) == (200, 0)
    assert http.call("POST", "/deployments/count", {}) == (200, 1)


class Poller:
    """A worker that only claims."""

    def __init__(self, http: Http, pool: str) -> None:
        self.http, self.pool = http, pool
        self.id = http.make(f"/work_pools/{pool}/workers", name="w", type="process")["worker_id"]

    def claim(self, limit: int = 10) -> set[str]:
        body = {"claim_id": str(uuid4()), "worker_id": self.id, "limit": limit}
        status, reply = self.http.call("POST", f"/work_pools/{self.pool}/claim", body)
        assert status == 200, reply
        return {claim["flow_run"]["id"] for claim in reply["claims"]}


def test_limits_of_pools_and_queues_hold(http: Http, flow: str) -> None:
    http.make("/work_pools/local/queues", name="narrow", concurrency_limit=1)
    for queue in ("default", "narrow"):
        http.make("/deployments/", name=queue, flow_id=flow, work_pool_name="local", work_queue_name=queue)
    ids = {queue: http.call("GET", f"/deployments/name/etl/{queue}")[1]["id"] for queue in ("default", "narrow")}
    runs = {
        queue: {http.make(f"/deployments/{id}/create_flow_run")["id"] for _ in range(3)} for queue, id in ids.items()
    }
    poller = Poller(http, "local")
    assert http.call("PATCH", "/work_pools/local", {"concurrency_limit": 3})[0] == 204
    first = poller.claim()
    assert len(first) == 3
    assert len(first & runs["narrow"]) <= 1
    assert poller.claim() == set()
    assert http.call("PATCH", "/work_pools/local", {"concurrency_limit": None})[0] == 204
    poller.claim()
    waiting = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    assert {run["id"] for run in http.call("POST", "/flow_runs/filter", waiting)[1]} < runs["narrow"]
    assert http.call("POST", "/flow_runs/count", waiting) == (200, 2)


@pytest.mark.parametrize(("strategy", "left"), [("ENQUEUE", "SCHEDULED"), ("CANCEL_NEW", "CANCELLED")])
def test_a_full_deployment_queues_or_cancels(http: Http, flow: str, strategy: str, left: str) -> None:
    options = {"concurrency_limit": 1, "concurrency_options": {"collision_strategy": strategy}}
    full = http.make("/deployments/", name="full", flow_id=flow, work_pool_name="local", **options)["id"]
    runs = {http.make(f"/deployments/{full}/create_flow_run")["id"] for _ in range(2)}
    poller = Poller(http, "local")
    (taken,) = poller.claim()
    assert poller.claim() == set()
    (other,) = runs - {taken}
    assert http.call("GET", f"/flow_runs/{other}")[1]["state_type"] == left
    explained = http.call("GET", f"/flow_runs/{other}/explain")[1]
    code = {"ENQUEUE": "deployment_limit", "CANCEL_NEW": "not_scheduled"}[strategy]
    assert explained["claimable"] is False
    assert code in {reason["code"] for reason in explained["reasons"]}
