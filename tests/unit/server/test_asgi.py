"""The HTTP face: version header, API key, CORS, OpenAPI and its page."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headway.core.settings import ServerSettings, Settings
from headway.server.app import create_app


def get(folder: Path, path: str, headers: Mapping[str, str] | None = None, method: str = "GET", **server: Any) -> Any:
    """(status, headers, body) of one request through the ASGI application of a started server."""

    async def talk() -> Any:
        app = create_app(Settings(home=folder, server=ServerSettings(**server)))
        await app.start(loops=False)
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        }
        try:
            await app.asgi(manage=False)(scope, receive, send)  # type: ignore[arg-type]
        finally:
            await app.stop()
        body = b"".join(message.get("body", b"") for message in sent)
        return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}, body

    return asyncio.run(talk())


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("stated", "status"), [("0.8.4", 200), ("0.8.0", 200), ("0.7.9", 400), ("eight", 400), ("0.8", 400)]
)
def test_an_old_or_malformed_api_version_is_refused(tmp_path: Path, stated: str, status: int) -> None:
    assert get(tmp_path, "/api/health", {"x-prefect-api-version": stated})[0] == status


@pytest.mark.parametrize(
    ("header", "status"),
    [(None, 401), ("Bearer k3y", 200), (basic("k3y"), 200), ("Bearer other", 401), ("Basic !!", 401)],
)
def test_a_server_with_a_key_wants_it(tmp_path: Path, header: str | None, status: int) -> None:
    headers = {"authorization": header} if header else {}
    assert get(tmp_path, "/api/version", headers, api_key="k3y")[0] == status


def test_health_needs_no_key(tmp_path: Path) -> None:
    assert get(tmp_path, "/api/health", api_key="k3y")[0] == 200


def test_a_page_of_another_origin_may_call_the_api(tmp_path: Path) -> None:
    asked = {"origin": "http://ui.example", "access-control-request-method": "POST",
             "access-control-request-headers": "x-prefect-api-version"}  # fmt: skip
    status, headers, _ = get(tmp_path, "/api/flows/filter", asked, method="OPTIONS")
    assert status == 200
    assert headers["access-control-allow-origin"] in ("*", "http://ui.example")
    assert "x-prefect-api-version" in headers["access-control-allow-headers"]


def test_an_escaped_slash_is_part_of_a_name(tmp_path: Path) -> None:
    status, _, body = get(tmp_path, "/api/flows/name/a%2Fb")
    assert (status, body) == (404, b'{"detail":"Flow \'a/b\' not found."}')


def test_openapi_lists_every_route_and_every_reference_in_it_resolves(tmp_path: Path) -> None:
    status, _, body = get(tmp_path, "/openapi.json")
    document = msgspec.json.decode(body)
    listed = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    served = create_app(Settings(home=tmp_path)).api.endpoints
    assert status == 200
    assert document["openapi"].startswith("3.1")
    assert listed == {(endpoint.route.method, "/api" + endpoint.route.path) for endpoint in served}
    references = {part.split('"')[0] for part in body.decode().split('"$ref":"#/components/schemas/')[1:]}
    assert references <= set(document["components"]["schemas"])
    ids = [operation["operationId"] for operations in document["paths"].values() for operation in operations.values()]
    assert len(ids) == len(set(ids))


def test_docs_shows_every_route_to_a_person_without_fetching_anything(tmp_path: Path) -> None:
    status, headers, body = get(tmp_path, "/docs")
    page = body.decode()
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "/api/flows/filter" in page
    assert "src=" not in page
    assert "http://" not in page
