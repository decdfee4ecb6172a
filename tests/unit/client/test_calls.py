"""One API call: what is sent, what is repeated, which error an answer stands for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
import pytest

from headway.client import Client, SyncClient
from headway.client.calls import body_of, error_of
from headway.client.transport import Answer
from headway.core.errors import (
    Conflict,
    FencedError,
    Forbidden,
    Gone,
    Invalid,
    LeaseLostError,
    Locked,
    NotFound,
    ServerUnreachable,
    Unavailable,
    UnexpectedReply,
)
from headway.core.settings import ClientSettings, Settings
from headway.wire.flow_runs import FlowRunCreate
from headway.wire.logs import LogCreate
from headway.wire.states import StateCreate, StateType

ID = UUID(int=7)


class Scripted:
    """A transport that answers what it is told to, in order, and keeps what it was asked."""

    url = "scripted"

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Mapping[str, str] | None, Mapping[str, str], bytes | None]] = []
        self.is_open = False

    async def open(self) -> None:
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Answer:
        self.asked.append((method, path, query, headers, body))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    return status, headers, msgspec.json.encode(body)


def client(transport: Scripted, retries: int = 3, **more: Any) -> Client:
    settings = Settings(client=ClientSettings(retries=retries, backoff_seconds=0.001))
    return Client(settings=settings, transport=transport, **more)


def ask(transport: Scripted, retries: int = 3) -> Any:
    async def run() -> Any:
        async with client(transport, retries) as opened:
            return await opened.version()

    return asyncio.run(run())


def test_a_request_carries_the_headers_of_the_contract() -> None:
    transport = Scripted(answer(200, "3.9.1"))

    async def run() -> str:
        async with client(transport, api_key="k", headers={"Headway-Attempt": "2"}) as opened:
            assert transport.is_open
            return await opened.version()

    assert asyncio.run(run()) == "3.9.1"
    assert not transport.is_open
    method, path, query, headers, body = transport.asked[0]
    assert (method, path, query, body) == ("GET", "/admin/version", None, None)
    assert headers["X-PREFECT-API-VERSION"] == "0.8.4"
    assert headers["Headway-Attempt"] == "2"
    assert headers["Authorization"] == "Bearer k"


@pytest.mark.parametrize(
    "trouble", [answer(408), answer(429), answer(502), answer(503, {"detail": "busy"}), ServerUnreachable("nobody")]
)
def test_what_passes_is_repeated(trouble: Answer | Exception) -> None:
    transport = Scripted(trouble, trouble, answer(200, "3.9.1"))
    assert ask(transport) == "3.9.1"
    assert len(transport.asked) == 3


def test_repeats_have_an_end() -> None:
    transport = Scripted(*[answer(503, {"detail": "busy"})] * 3)
    with pytest.raises(Unavailable, match="busy"):
        ask(transport, retries=2)
    transport = Scripted(*[ServerUnreachable("nobody")] * 3)
    with pytest.raises(ServerUnreachable):
        ask(transport, retries=2)


def test_retry_after_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    transport = Scripted(answer(429, None, **{"retry-after": "2.5"}), answer(503), answer(200, "3.9.1"))
    ask(transport)
    assert pauses[0] == 2.5
    assert pauses[1] < 1


@pytest.mark.parametrize("status", [400, 404, 409, 500])
def test_what_does_not_pass_is_not_repeated(status: int) -> None:
    transport = Scripted(answer(status, {"detail": "no"}))
    with pytest.raises(Exception, match="no"):
        ask(transport)
    assert len(transport.asked) == 1


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (answer(401, {"detail": ""}), Forbidden, "HEADWAY_API_KEY"),
        (answer(403, {"detail": "not yours"}), Forbidden, "not yours"),
        (answer(404, {"detail": "no pool 'x'"}), NotFound, "no pool 'x'"),
        (answer(404, {"detail": "Not Found"}), NotFound, "has no GET /x, so its URL is not that of a Headway API"),
        ((404, {}, b""), NotFound, "ends in /api"),
        (answer(409, {"detail": "taken", "code": "WorkerNameTakenError"}), Conflict, "taken"),
        (answer(409, {"detail": "fenced", "code": "AttemptFenced"}), FencedError, "fenced"),
        (answer(410, {"detail": "gone"}), Gone, "gone"),
        (answer(410, {"detail": "lost", "code": "AttemptEnded"}), LeaseLostError, "lost"),
        (answer(423, {"detail": "full"}, **{"retry-after": "2.2044"}), Locked, "full"),
        (answer(500, {"detail": "oops"}), UnexpectedReply, "status 500: oops"),
        ((500, {}, b"<html>"), UnexpectedReply, "<html>"),
    ],
)
def test_an_error_answer_is_the_error_it_stands_for(given: Answer, error: type[Exception], text: str) -> None:
    found = error_of(given, "GET /x")
    assert type(found) is error
    assert text in str(found)


def test_codes_retry_after_and_places_are_kept() -> None:
    conflict = error_of(answer(409, {"detail": "x", "code": "WorkerNameTakenError"}), "")
    assert isinstance(conflict, Conflict)
    assert conflict.code == "WorkerNameTakenError"
    locked = error_of(answer(423, {"detail": "x"}, **{"retry-after": "2.2044"}), "")
    assert isinstance(locked, Locked)
    assert locked.retry_after == 2.2044
    faults = [{"loc": ["body", "name"], "msg": "Field required", "type": "missing"}]
    invalid = error_of(answer(422, {"exception_message": "Invalid request received.", "exception_detail": faults}), "")
    assert isinstance(invalid, Invalid)
    assert str(invalid) == "name: Field required"
    assert invalid.loc == ["body", "name"]


def test_fields_that_say_nothing_are_not_sent() -> None:
    body = msgspec.json.decode(body_of(FlowRunCreate(flow_id=ID, state=StateCreate(type=StateType.PENDING))) or b"")
    assert "id" not in body
    assert "deployment_id" not in body
    assert body["flow_id"] == str(ID)
    assert body["state"]["type"] == "PENDING"
    from datetime import UTC, datetime

    logs = msgspec.json.decode(body_of([LogCreate("n", 20, "m", datetime(2026, 1, 1, tzinfo=UTC))]) or b"")
    assert logs == [{"name": "n", "level": 20, "message": "m", "timestamp": "2026-01-01T00:00:00Z"}]


def test_foreign_values_in_a_body_have_a_json_form() -> None:
    from pathlib import Path

    assert body_of({"where": Path("/x")}) == b'{"where":"/x"}'
    with pytest.raises(TypeError, match="object has no JSON form"):
        body_of({"x": object()})


def test_the_sync_face_has_every_method_of_the_async_one(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = Scripted(answer(200, "3.9.1"), answer(404, {"detail": "no flow"}))
    monkeypatch.setattr("headway.client.client.open_transport", lambda settings, url: transport)
    with SyncClient(settings=Settings(client=ClientSettings(retries=0))) as opened:
        assert opened.version() == "3.9.1"
        with pytest.raises(NotFound, match="no flow"):
            opened.read_flow(ID)
        assert opened.url == "scripted"
        with pytest.raises(AttributeError):
            opened.nonsense()
    assert not transport.is_open
