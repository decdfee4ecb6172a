"""OpenAPI 3.1 from the route tables, and a page that reads it to a person."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import msgspec

from headway.server.api.answers import Answer, Raw
from headway.server.api.routing import Endpoint, Route

_REF = "#/components/schemas/{name}"


def describe(endpoints: Iterable[Endpoint], *, version: str, base: str = "/api") -> dict[str, Any]:
    """The document for these endpoints, paths prefixed by `base`."""
    listed = list(endpoints)
    kinds = [kind for endpoint in listed for kind in _kinds(endpoint)]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    found = iter(schemas)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in listed:
        ours = {id(kind): next(found) for kind in _kinds(endpoint)}
        operation = _operation(endpoint, ours)
        paths.setdefault(base + endpoint.route.path, {})[endpoint.route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Headway", "version": version},
        "paths": paths,
        "components": {"schemas": components},
    }


def _kinds(endpoint: Endpoint) -> list[Any]:
    kinds = [*endpoint.path_types.values(), *(kind for kind, _ in endpoint.query.values())]
    if endpoint.body_type is not None:
        kinds.append(endpoint.body_type)
    if _has_schema(endpoint.returns):
        kinds.append(endpoint.returns)
    return kinds


def _has_schema(kind: Any) -> bool:
    return kind not in (None, type(None), Any, Answer, Raw)


def _operation(endpoint: Endpoint, schemas: dict[int, Any]) -> dict[str, Any]:
    route = endpoint.route
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": schemas[id(kind)]}
        for name, kind in endpoint.path_types.items()
    ]
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": schemas[id(kind)]}
        for name, (kind, _) in endpoint.query.items()
    ]
    content: dict[str, Any] = {"content": {"application/json": {"schema": {}}}}
    if _has_schema(endpoint.returns):
        content = {"content": {"application/json": {"schema": schemas[id(endpoint.returns)]}}}
    elif endpoint.returns in (None, type(None)):
        content = {}
    status = "204" if endpoint.returns in (None, type(None)) and route.status == 200 else str(route.status)
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": (route.handler.__doc__ or route.handler.__name__.replace("_", " ")).strip().splitlines()[0],
        "tags": [route.tag or "Root"],
        "responses": {status: {"description": "Success", **content}, "422": {"description": "Invalid request"}},
    }
    if parameters:
        operation["parameters"] = parameters
    if endpoint.body_type is not None:
        body = {"application/json": {"schema": schemas[id(endpoint.body_type)]}}
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _operation_id(route: Route) -> str:
    words = [part.strip("{}") for part in route.path.split("/") if part]
    return "_".join([route.method.lower(), *words])


_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Headway API</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body{{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1c2430}}
h2{{margin:2rem 0 .5rem;border-bottom:1px solid #d5dbe3}}code,pre{{font:13px/1.45 ui-monospace,monospace}}
details{{border:1px solid #e2e7ee;border-radius:6px;margin:.35rem 0;padding:.35rem .7rem}}
summary{{cursor:pointer}}
b.m{{display:inline-block;width:4.5rem;font:600 13px ui-monospace,monospace}}
pre{{background:#f5f7fa;padding:.6rem;overflow:auto}}
.GET{{color:#1667b7}}.POST{{color:#1a7f4b}}.PATCH{{color:#9a6700}}.DELETE{{color:#b3261e}}
.PUT{{color:#6d3fc0}}span.s{{color:#5b6675}}
</style></head><body><h1>Headway API</h1>
<p>Machine-readable: <a href="/openapi.json">/openapi.json</a>. {count} operations.</p>
{groups}</body></html>"""


def page(document: dict[str, Any]) -> bytes:
    """The document as one self-contained HTML page, operations grouped by tag."""
    groups: dict[str, list[str]] = {}
    count = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            count += 1
            groups.setdefault(operation["tags"][0], []).append(_row(path, method.upper(), operation))
    parts = [f"<h2>{escape(tag)}</h2>{''.join(rows)}" for tag, rows in sorted(groups.items())]
    parts.append(f"<h2>Schemas</h2>{''.join(_schema(*item) for item in sorted(_schemas(document)))}")
    return _PAGE.format(count=count, groups="".join(parts)).encode()


def _row(path: str, method: str, operation: dict[str, Any]) -> str:
    parts = {key: operation[key] for key in ("parameters", "requestBody", "responses") if key in operation}
    shown = escape(msgspec.json.format(msgspec.json.encode(parts), indent=2).decode())
    return (
        f'<details><summary><b class="m {method}">{method}</b><code>{escape(path)}</code> '
        f'<span class="s">{escape(operation["summary"])}</span></summary><pre>{shown}</pre></details>'
    )


def _schemas(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, msgspec.json.format(msgspec.json.encode(schema), indent=2).decode())
        for name, schema in document["components"]["schemas"].items()
    ]


def _schema(name: str, text: str) -> str:
    anchor = escape(name)
    return f'<details id="{anchor}"><summary><code>{anchor}</code></summary><pre>{escape(text)}</pre></details>'
