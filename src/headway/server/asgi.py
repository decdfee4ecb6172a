"""The ASGI face of the API: /api, /openapi.json and /docs, with version check, key and CORS."""

from __future__ import annotations

import asyncio
import hmac
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse
from starlette.responses import Response as HttpResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from headway.server.api import openapi
from headway.server.api.answers import Answer, Response
from headway.server.api.routing import Api, Request
from headway.version import __version__

OLDEST_API_VERSION = (0, 8, 0)
_OPEN_PATHS = frozenset({"health", "ready", "hello"})


class ApiApp:
    """Runs `Api.handle` for each HTTP request below its mount point."""

    def __init__(self, api: Api, api_key: str | None) -> None:
        self._api = api
        self._api_key = api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # WebSockets are not offered: clients fall back to REST
            await send({"type": "websocket.close", "code": 1008})
            return
        # The path as it was sent: an escaped slash is part of a name, not a separator.
        path = scope["raw_path"].decode("latin-1").removeprefix(scope.get("root_path", "").rstrip("/"))
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _body(receive)
        refused = refuse_version(headers) or self._refuse_key(path, headers)
        request = Request(scope["method"], path, scope["query_string"].decode("latin-1"), headers, body)
        if refused is None and path.endswith("/claim"):
            await _while_there(self._api.handle(request), receive, send)
            return
        await _send(send, refused or await self._api.handle(request))

    def _refuse_key(self, path: str, headers: dict[str, str]) -> Response | None:
        if self._api_key is None or path.strip("/") in _OPEN_PATHS:
            return None
        if _presented(headers.get("authorization", ""), self._api_key):
            return None
        return Answer(401, {"exception_message": "Unauthorized", "detail": "This server needs an API key."}).response()


def _presented(header: str, expected: str) -> bool:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() == "basic":  # the reference's clients send `auth_string` this way
        try:
            credentials = b64decode(credentials, validate=True).decode()
        except (Base64Error, UnicodeDecodeError):
            return False
    return hmac.compare_digest(credentials.encode(), expected.encode())


def refuse_version(headers: dict[str, str]) -> Response | None:
    """400 for an API version that is malformed or older than 0.8.0; absent means the newest (CONTRACT §1.2)."""
    stated = headers.get("x-prefect-api-version")
    if stated is None:
        return None
    parts = stated.split(".")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        detail = f"Invalid X-PREFECT-API-VERSION header format. Expected header in format 'x.y.z', got: {stated}."
        return Answer(400, {"detail": detail}).response()
    if tuple(int(part) for part in parts) < OLDEST_API_VERSION:
        return Answer(400, {"detail": f"API version {stated} is too old; this server speaks 0.8.0 and up."}).response()
    return None


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def _while_there(work: Coroutine[Any, Any, Response], receive: Receive, send: Send) -> None:
    """Answer a request that may wait long; nobody waits for a client that has hung up."""
    answer, gone = asyncio.ensure_future(work), asyncio.ensure_future(receive())
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            await _send(send, answer.result())
    finally:
        answer.cancel()
        gone.cancel()


async def _send(send: Send, response: Response) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
    headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def asgi_app(api: Api, api_key: str | None, lifespan: Callable[..., object] | None = None) -> Starlette:
    """The whole server as an ASGI application."""
    document: Callable[[], bytes] = cache(
        lambda: msgspec.json.encode(openapi.describe(api.endpoints, version=__version__))
    )
    page: Callable[[], bytes] = cache(lambda: openapi.page(openapi.describe(api.endpoints, version=__version__)))

    async def openapi_json(_: HttpRequest) -> HttpResponse:
        return HttpResponse(document(), media_type="application/json")

    async def docs(_: HttpRequest) -> HttpResponse:
        return HTMLResponse(page())

    endpoints: list[tuple[str, Callable[[HttpRequest], Awaitable[HttpResponse]]]] = [
        ("/openapi.json", openapi_json),
        ("/docs", docs),
    ]
    return Starlette(
        routes=[*(Route(path, endpoint) for path, endpoint in endpoints), Mount("/api", ApiApp(api, api_key))],
        middleware=[Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])],
        lifespan=lifespan,  # type: ignore[arg-type]
    )
