"""How a request finds its handler, and what every refusal looks like."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any
from uuid import UUID, uuid4

import pytest

from headway.core.errors import Conflict, Locked, NotFound, TemplateError, Unavailable
from headway.server.api.routing import Answer, Api, Caller, Request, Response, Route
from headway.wire.flows import FlowCreate


async def by_id(id: UUID) -> str:
    return f"id {id}"


async def by_name(name: str) -> str:
    return f"name {name}"


async def create(body: FlowCreate) -> Answer:
    return Answer(201, body.name)


async def create_many(body: list[FlowCreate]) -> list[Any]:
    return [threading.get_ident() == threading.main_thread().ident, [one.name for one in body]]


async def listed(limit: int = 10, tag: list[str] | None = None) -> list[Any]:
    return [limit, tag]


async def nothing() -> None:
    return None


async def who(caller: Caller) -> list[Any]:
    return [caller.prefect_version, caller.attempt, caller.token, caller.nonce]


def raising(error: Exception) -> Route:
    async def handler() -> None:
        raise error

    return Route("GET", f"/{type(error).__name__}", handler)


API = Api(
    [
        Route("GET", "/things/{id}", by_id),
        Route("GET", "/things/name/{name}", by_name),
        Route("GET", "/things/filter", nothing),
        Route("GET", "/things/", listed),
        Route("POST", "/things/", create),
        Route("POST", "/things/many", create_many, 200),
        Route("GET", "/who", who),
        raising(NotFound("There is no thing.")),
        raising(Conflict("It is taken.", code="Taken")),
        raising(Locked("Full.", retry_after=2.2044123)),
        raising(Unavailable("Later.", retry_after=1)),
        raising(TemplateError("cpu: expected a number", loc=("job_variables", "cpu"))),
        raising(RuntimeError("a secret detail")),
    ]
)


def ask(method: str, path: str, query: str = "", body: bytes = b"", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.run(API.handle(Request(method, path, query, named, body)))


def value(response: Response) -> Any:
    return json.loads(response.body)


def test_a_fixed_segment_wins_over_a_variable_one() -> None:
    assert ask("GET", "/things/filter").status == 204


def test_a_trailing_slash_makes_no_difference() -> None:
    assert value(ask("GET", "/things")) == value(ask("GET", "/things/")) == [10, None]


def test_a_name_in_a_path_may_be_percent_encoded() -> None:
    assert value(ask("GET", "/things/name/a%20b%2Fc")) == "name a b/c"


def test_a_path_value_of_the_wrong_type_is_refused_with_its_place() -> None:
    response = ask("GET", "/things/seven")
    assert response.status == 422
    assert value(response)["exception_detail"][0]["loc"] == ["path", "id"]


def test_an_id_in_the_path_arrives_as_a_uuid() -> None:
    id = uuid4()
    assert value(ask("GET", f"/things/{id}")) == f"id {id}"


@pytest.mark.parametrize(
    ("query", "expected"), [("limit=3", [3, None]), ("tag=a&tag=b", [10, ["a", "b"]]), ("tag%5B%5D=a", [10, ["a"]])]
)
def test_query_parameters_are_converted(query: str, expected: list[Any]) -> None:
    assert value(ask("GET", "/things", query)) == expected


def test_a_bad_query_parameter_is_refused_by_name() -> None:
    response = ask("GET", "/things", "limit=many")
    assert (response.status, value(response)["exception_detail"][0]["loc"]) == (422, ["query", "limit"])


@pytest.mark.parametrize(
    ("body", "loc", "words"),
    [
        (b'{"name": "a", "colour": "red"}', ["body", "colour"], "Unknown field 'colour'"),
        (b'{"name": 7}', ["body", "name"], "Expected `str`"),
        (b'{"name": "a", "tags": ["x", 1]}', ["body", "tags", 1], "Expected `str`"),
        (b"{}", ["body", "name"], "Field required"),
        (b"", ["body"], "A JSON body is expected"),
        (b"{not json", ["body"], "malformed"),
    ],
)
def test_a_bad_body_names_the_field_and_is_echoed(body: bytes, loc: list[Any], words: str) -> None:
    response = ask("POST", "/things/", body=body)
    answered = value(response)
    assert response.status == 422
    assert answered["exception_message"] == "Invalid request received."
    assert answered["exception_detail"][0]["loc"] == loc
    assert words in answered["exception_detail"][0]["msg"]
    assert set(answered) == {"exception_message", "exception_detail", "request_body"}


def test_an_unknown_path_is_404_and_a_known_one_with_another_method_405() -> None:
    assert ask("GET", "/nowhere").status == 404
    response = ask("DELETE", "/things/")
    assert (response.status, response.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize(
    ("path", "status", "body", "header"),
    [
        ("/NotFound", 404, {"detail": "There is no thing."}, None),
        ("/Conflict", 409, {"detail": "It is taken.", "code": "Taken"}, None),
        ("/Locked", 423, {"detail": "Full."}, "2.2044"),
        ("/Unavailable", 503, {"detail": "Later."}, "1"),
    ],
)
def test_errors_have_the_bodies_of_the_contract(path: str, status: int, body: Any, header: str | None) -> None:
    response = ask("GET", path)
    assert (response.status, value(response), response.headers.get("retry-after")) == (status, body, header)


def test_an_error_of_the_domain_is_422_with_its_place() -> None:
    response = ask("GET", "/TemplateError")
    assert (response.status, value(response)["exception_detail"][0]["loc"]) == (422, ["job_variables", "cpu"])


def test_an_unforeseen_error_is_500_and_tells_no_detail(caplog: pytest.LogCaptureFixture) -> None:
    response = ask("GET", "/RuntimeError")
    assert response.status == 500
    assert b"secret" not in response.body
    assert "a secret detail" in caplog.text


def test_the_caller_is_read_from_the_headers() -> None:
    response = ask(
        "GET",
        "/who",
        user_agent="prefect/3.8.8 (API 0.8.4)",
        headway_attempt="2",
        headway_attempt_token="t",
        headway_attempt_nonce="n",
    )
    assert value(response) == [[3, 8, 8], 2, "t", "n"]
    assert value(ask("GET", "/who", user_agent="curl/8")) == [None, None, None, None]


def test_a_route_that_is_there_twice_is_a_mistake_found_at_once() -> None:
    with pytest.raises(ValueError, match="GET /a is routed twice"):
        Api([Route("GET", "/a", nothing), Route("GET", "/a", nothing)])


async def _longest_hold(request: Request) -> tuple[Response, float]:
    """The answer, and how long the event loop did nothing else meanwhile (seconds of this thread's CPU)."""
    longest, done = 0.0, False

    async def watch() -> None:
        nonlocal longest
        last = time.thread_time()
        while not done:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, last = max(longest, now - last), now

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    response = await API.handle(request)
    done = True
    await watching
    return response, longest


def test_a_large_body_does_not_hold_up_everybody_else() -> None:
    body = json.dumps([{"name": f"flow {index}", "tags": ["x" * 100] * 20} for index in range(2000)]).encode()
    response, held = asyncio.run(_longest_hold(Request("POST", "/things/many", body=body)))
    assert len(body) > 4_000_000
    assert json.loads(response.body)[1][-1] == "flow 1999"
    assert held < 0.02


def test_a_fault_in_a_large_body_is_found_where_it_is() -> None:
    body = json.dumps([{"name": "a"}] * 9000 + [{"name": 1}]).encode()
    response = asyncio.run(API.handle(Request("POST", "/things/many", body=body)))
    assert response.status == 422
    assert json.loads(response.body)["exception_detail"][0]["loc"] == ["body", 9000, "name"]
