"""Typed route tables, and the small machine that runs them.

A handler is an async function whose signature says everything: parameters named in the path, `body`
(a wire type, decoded by msgspec), `caller` (who asks), everything else from the query string. It returns
a wire value, an `Answer` where the status varies, or None. `Api.handle` is the one entrance: the ASGI
face and the embedded transport both call it, so there is one behaviour with and without a socket.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import types
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl, unquote

import msgspec

from headway.core.errors import HeadwayError, Invalid, RequestError
from headway.server.api.answers import Answer, Raw, Request, Response, failure, invalid_body, response_of

logger = logging.getLogger("headway.server.api")

Handler = Callable[..., Awaitable[Any]]

LARGE_BODY = 64 * 1024
"""Bytes. A body that is larger is decoded on a thread, so that it does not hold up everybody else."""
_PIECES = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the client's version, and the attempt it speaks for, if any."""

    user_agent: str = ""
    attempt: int | None = None
    token: str | None = None
    nonce: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def prefect_version(self) -> tuple[int, ...] | None:
        """(3, 8, 8) for a stock client; None for anybody else. Read from the User-Agent (CONTRACT §1.2)."""
        return _prefect_version(self.user_agent)


@lru_cache(maxsize=256)
def _prefect_version(user_agent: str) -> tuple[int, ...] | None:
    product = user_agent.partition(" ")[0]
    name, _, version = product.partition("/")
    if name != "prefect":
        return None
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


@dataclass(frozen=True, slots=True)
class Route:
    """One row of a route table. `status` is answered when the handler returns a plain value."""

    method: str
    path: str
    handler: Handler
    status: int = 200
    tag: str = ""


def caller_of(headers: Mapping[str, str]) -> Caller:
    """The caller that these (lower-case) headers describe."""
    attempt = headers.get("headway-attempt")
    return Caller(
        user_agent=headers.get("user-agent", ""),
        attempt=int(attempt) if attempt and attempt.isdigit() else None,
        token=headers.get("headway-attempt-token"),
        nonce=headers.get("headway-attempt-nonce"),
        headers=headers,
    )


class Endpoint:
    """A route whose handler's signature is read once, when it is first asked for: a start does not wait for all."""

    returns: Any
    path_types: dict[str, Any]
    query: dict[str, tuple[Any, Any]]
    body_type: Any
    body_default: Any
    wants_caller: bool
    _decode: Callable[[bytes], Any] | None

    def __init__(self, route: Route) -> None:
        self.route = route

    def __getattr__(self, name: str) -> Any:
        if name not in type(self).__annotations__:
            raise AttributeError(name)
        self._read()
        return self.__dict__[name]

    def _read(self) -> None:
        route = self.route
        hints = get_type_hints(route.handler, include_extras=True)
        self.returns = _shown(hints.pop("return", None))
        names = {part[1:-1] for part in route.path.split("/") if part.startswith("{")}
        self.path_types = {name: hints[name] for name in names}
        self.query = {}
        self.body_type = None
        self.wants_caller = False
        self.body_default = inspect.Parameter.empty
        for name, parameter in inspect.signature(route.handler).parameters.items():
            if name == "body":
                self.body_type, self.body_default = hints["body"], parameter.default
            elif name == "caller":
                self.wants_caller = True
            elif name not in names:
                self.query[name] = (hints[name], parameter.default)
        self._decode = msgspec.json.Decoder(self.body_type).decode if self.body_type is not None else None

    async def __call__(self, request: Request, path_values: Mapping[str, str]) -> Response:
        arguments: dict[str, Any] = {
            name: _convert(path_values[name], kind, ("path", name)) for name, kind in self.path_types.items()
        }
        if self.query:
            arguments.update(self._query_arguments(request.query))
        if self._decode is not None:
            large = len(request.body) > LARGE_BODY
            arguments["body"] = await asyncio.to_thread(self._in_pieces, request) if large else self._body(request)
        if self.wants_caller:
            arguments["caller"] = caller_of(request.headers)
        value = await self.route.handler(**arguments)
        if isinstance(value, Answer):
            return value.response()
        return response_of(204 if value is None and self.route.status == 200 else self.route.status, value)

    def _in_pieces(self, request: Request) -> Any:
        """A large body, on a thread. The items of a list one by one: a decoder lets go of nothing until it returns."""
        if get_origin(self.body_type) is not list:
            return self._body(request)
        decode = msgspec.json.Decoder(get_args(self.body_type)[0]).decode
        try:
            return [decode(piece) for piece in _PIECES.decode(request.body)]
        except (msgspec.DecodeError, ValueError):
            return self._body(request)  # which says where the fault is

    def _body(self, request: Request) -> Any:
        if not request.body and self.body_default is not inspect.Parameter.empty:
            return self.body_default
        assert self._decode is not None
        try:
            return self._decode(request.body or b"null")
        except (msgspec.DecodeError, ValueError) as error:
            raise invalid_body(error, request.body) from error

    def _query_arguments(self, query: str) -> dict[str, Any]:
        given: dict[str, list[str]] = {}
        for key, value in parse_qsl(query, keep_blank_values=True):
            given.setdefault(key, []).append(value)
        found = {}
        for name, (kind, default) in self.query.items():
            values = given.get(name) or given.get(f"{name}[]")
            if values is None:
                if default is inspect.Parameter.empty:
                    raise Invalid(f"Query parameter '{name}' is missing.", loc=("query", name))
                continue
            raw = values if _is_list(kind) else values[-1]
            found[name] = _convert(raw, kind, ("query", name))
        return found


def _shown(kind: Any) -> Any:
    """What a handler answers with: `Annotated[msgspec.Raw, X]` is an X that is encoded already."""
    if get_origin(kind) is Annotated and get_args(kind)[0] is msgspec.Raw:
        return get_args(kind)[1]
    return kind


def _is_list(kind: Any) -> bool:
    if get_origin(kind) in (Union, types.UnionType):
        return any(_is_list(part) for part in get_args(kind))
    return kind is list or get_origin(kind) is list


def _convert(value: Any, kind: Any, loc: tuple[str, ...]) -> Any:
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"{loc[-1]}: {error}", loc=loc) from error


class _Node:
    """One segment of the tree of paths."""

    __slots__ = ("endpoints", "fixed", "variable")

    def __init__(self) -> None:
        self.fixed: dict[str, _Node] = {}
        self.variable: tuple[str, _Node] | None = None
        self.endpoints: dict[str, tuple[Endpoint, tuple[str, ...]]] = {}


class Api:
    """The route tables, as one function from request to response.

    A trailing slash makes no difference. Fixed segments win over variable ones.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.endpoints = [Endpoint(route) for route in routes]
        self._root = _Node()
        for endpoint in self.endpoints:
            self._add(endpoint)

    def _add(self, endpoint: Endpoint) -> None:
        node, names = self._root, []
        for part in endpoint.route.path.strip("/").split("/"):
            if part.startswith("{"):
                names.append(part[1:-1])
                node.variable = node.variable or ("", _Node())
                node = node.variable[1]
            else:
                node = node.fixed.setdefault(part, _Node())
        if endpoint.route.method in node.endpoints:
            raise ValueError(f"{endpoint.route.method} {endpoint.route.path} is routed twice")
        node.endpoints[endpoint.route.method] = (endpoint, tuple(names))

    def _find(self, node: _Node, parts: list[str], at: int, values: list[str]) -> tuple[_Node, list[str]] | None:
        while at < len(parts):
            head = parts[at]
            at += 1
            fixed, variable = node.fixed.get(head), node.variable
            if fixed is not None and (variable is None or not head):
                node = fixed
            elif fixed is not None and (found := self._find(fixed, parts, at, values)):
                return found
            elif variable is not None and head:
                node, values = variable[1], [*values, unquote(head)]
            else:
                return None
        return (node, values) if node.endpoints else None

    async def handle(self, request: Request) -> Response:
        """Answer one request; every error becomes a body as CONTRACT §1.2 has it, none escapes."""
        try:
            found = self._find(self._root, request.path.strip("/").split("/"), 0, [])
            if found is None:
                return Answer(404, {"detail": "Not Found"}).response()
            node, values = found
            match = node.endpoints.get(request.method)
            if match is None:
                allowed = ", ".join(sorted(node.endpoints))
                return Answer(405, {"detail": "Method Not Allowed"}, {"allow": allowed}).response()
            endpoint, names = match
            return await endpoint(request, dict(zip(names, values, strict=True)))
        except RequestError as error:
            return failure(error, request.body).response()
        except HeadwayError as error:
            return failure(Invalid(error.message, loc=getattr(error, "loc", ())), request.body).response()
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            return Answer(500, {"exception_message": "Internal Server Error"}).response()


__all__ = ["Answer", "Api", "Caller", "Endpoint", "Raw", "Request", "Response", "Route", "caller_of"]
