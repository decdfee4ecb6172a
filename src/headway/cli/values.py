"""Values as people type them: `key=value` pairs, JSON or a file with JSON, names and ids."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import click

__all__ = ["NAME", "SECONDS", "as_uuid", "json_argument", "pairs"]


class NameType(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """The name of a pool, queue or worker: part of a URL, so some characters are not in it."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if not text.strip() or set(text) & set(FORBIDDEN):
            self.fail(f"'{text}' cannot be a name: it must not be empty or contain {' '.join(FORBIDDEN)}", param, ctx)
        return text


FORBIDDEN = "/%&><?#"
NAME = NameType()


class SecondsType(click.ParamType):  # type: ignore[type-arg]
    """A length of time: a number of seconds, without a unit."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return float(value)
        except ValueError:
            self.fail(f"'{value}' is not a number of seconds; write e.g. 300 for five minutes", param, ctx)


SECONDS = SecondsType()


def pairs(given: Iterable[str], option: str, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`("a=1", "b=x", "c.d=true")` as {"a": 1, "b": "x", "c": {"d": True}}: a value that is JSON is decoded,
    except where `schema` (of the object they make) wants a text."""
    found: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise click.UsageError(f"{option} '{text}' is not a pair; write {option} name=value")
        place = found
        steps = key.strip().split(".")
        for step in steps[:-1]:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise click.UsageError(f"{option} '{text}': '{step}' already has a value that is not an object")
        decoded = json_or_text(value)
        allowed = _types_at(schema or {}, steps)
        as_text = "string" in allowed and not allowed & _types_of(decoded)
        place[steps[-1]] = value if as_text else decoded
    return found


def _types_at(schema: Mapping[str, Any], steps: list[str]) -> set[str]:
    """The JSON types that a schema allows below a path; empty if it does not say."""
    for step in steps:
        below = (schema.get("properties") or {}).get(step) or schema.get("additionalProperties")
        if not isinstance(below, Mapping):
            return set()
        schema = below
    return {type for option in [schema, *schema.get("anyOf", [])] for type in _listed(option.get("type"))}


def _listed(types: Any) -> list[str]:
    return types if isinstance(types, list) else [types] if types else []


def _types_of(value: Any) -> set[str]:
    for kind, names in (
        (bool, {"boolean"}),
        (int, {"integer", "number"}),
        (float, {"number"}),
        (str, {"string"}),
        (list, {"array"}),
        (dict, {"object"}),
    ):
        if isinstance(value, kind):
            return names
    return {"null"}


def json_or_text(text: str) -> Any:
    """JSON if it is, else the text itself; NaN and Infinity are texts."""
    try:
        return json.loads(text, parse_constant=lambda constant: _not_json(constant))
    except ValueError:
        return text


def _not_json(constant: str) -> Any:
    raise ValueError(constant)


def json_argument(text: str, option: str) -> dict[str, Any]:
    """A JSON object, given itself or as the path of a file that has it (`@path` is always a file)."""
    stripped = text.strip()
    if not stripped.startswith("{"):
        path = Path(stripped.removeprefix("@")).expanduser()
        try:
            stripped = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not a text file"
            raise click.UsageError(f"{option} '{text}': {reason}. Give a JSON object or a file that has one") from error
    try:
        value = json.loads(stripped)
    except ValueError as error:
        raise click.UsageError(
            f"{option}: not valid JSON ({error}). Give a JSON object or a file that has one"
        ) from error
    if not isinstance(value, dict):
        raise click.UsageError(f"{option}: a JSON object is expected, not {type(value).__name__}")
    return value


def as_uuid(text: str) -> UUID | None:
    """The id, or None if it is not one."""
    try:
        return UUID(text)
    except ValueError:
        return None
