"""Values as people type them: `key=value` pairs, JSON or a file with JSON, names and ids."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import click

__all__ = ["as_uuid", "json_argument", "pairs"]


def pairs(given: Iterable[str], option: str, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`("a=1", "b=x", "c.d=true")` as {"a": 1, "b": "x", "c": {"d": True}}: a value that is JSON is decoded,
    except where `schema` (of the object they make) wants a text."""
    wanted = (schema or {}).get("properties") or {}
    found: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise click.UsageError(f"{option} '{text}' is not a pair; write {option} name=value")
        place = found
        *path, last = key.strip().split(".")
        for step in path:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise click.UsageError(f"{option} '{text}': '{step}' already has a value that is not an object")
        decoded = json_or_text(value)
        is_text = not path and isinstance(wanted.get(last), Mapping) and wanted[last].get("type") == "string"
        place[last] = value if is_text and not isinstance(decoded, str) else decoded
    return found


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
