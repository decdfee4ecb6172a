"""The ASGI face of the API: /api, /openapi.json and /docs, with version check, key and CORS."""

from __future__ import annotations

import asyncio
import hmac
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import msgspec

from headway.server.api import openapi
from headway.server.api.answers import Answer, Response
from headway.server.api.routing import Api, Request
from headway.version import __version__

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request as HttpRequest
    from starlette.responses import Response as HttpResponse
    from starlette.types import ASGIApp, Receive, Scope, Send

OLDEST_API_VERSION = (0, 8, 0)
_OPEN_PATHS = frozenset({"health", "ready", "hello"})


class Gate:
    """The API behind the checks that every request over HTTP passes: the stated API version, and the key."""

    def __init__(self, api: Api, api_key: str | None) -> None:
        self._api = api
        self._api_key = api_key

    def __call__(self, request: Request) -> Awaitable[Response]:
        refused = refuse_version(request.headers.get("x-prefect-api-version"))
        if refused is None and self._api_key is not None:
            refused = self._refuse_key(request.path, request.headers, self._api_key)
        return self._api.handle(request) if refused is None else _at_once(refused)

    def _refuse_key(self, path: str, headers: Mapping[str, str], expected: str) -> Response | None:
        if path.strip("/") in _OPEN_PATHS or _presented(headers.get("authorization", ""), expected):
            return None
        return Answer(401, {"exception_message": "Unauthorized", "detail": "This server needs an API key."}).response()


async def _at_once(response: Response) -> Response:
    return response


def is_patient(path: str) -> bool:
    """Whether the client of a request to `path` waits long, and may go away meanwhile."""
    return path.endswith("/claim")


class ApiApp:
    """Runs the API for each HTTP request below its mount point."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # WebSockets are not offered: clients fall back to REST
            await send({"type": "websocket.close", "code": 1008})
            return
        # The path as it was sent: an escaped slash is part of a name, not a separator.
        path = scope["raw_path"].decode("latin-1").removeprefix(scope.get("root_path", "").rstrip("/"))
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _body(receive)
        request = Request(scope["method"], path, scope["query_string"].decode("latin-1"), headers, body)
        if is_patient(path):
            await _while_there(self._gate(request), receive, send)
        else:
            await _send(send, await self._gate(request))


def _presented(header: str, expected: str) -> bool:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() == "basic":  # the reference's clients send `auth_string` this way
        try:
            credentials = b64decode(credentials, validate=True).decode()
        except (Base64Error, UnicodeDecodeError):
            return False
    return hmac.compare_digest(credentials.encode(), expected.encode())


@lru_cache(maxsize=64)
def refuse_version(stated: str | None) -> Response | None:
    """400 for an API version that is malformed or older than 0.8.0; absent means the newest (CONTRACT §1.2)."""
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


async def _while_there(work: Awaitable[Response], receive: Receive, send: Send) -> None:
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


def asgi_later(make: Callable[[], ASGIApp]) -> ASGIApp:
    """The application that `make` makes at the first request that needs it: most only need the API's own server."""
    made = cache(make)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await made()(scope, receive, send)

    return app


def asgi_app(api: Api, gate: Gate, lifespan: Callable[..., object] | None = None) -> Starlette:
    """The whole server as an ASGI application."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.cors import CORSMiddleware
    from starlette.responses import HTMLResponse
    from starlette.responses import Response as HttpResponse
    from starlette.routing import Mount, Route

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
        routes=[*(Route(path, endpoint) for path, endpoint in endpoints), Mount("/api", ApiApp(gate))],
        middleware=[Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])],
        lifespan=lifespan,  # type: ignore[arg-type]
    )
