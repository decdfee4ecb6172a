"""What is wrong with a JSON object, by its JSON Schema (2020-12): one short problem per field.

Schemas come from users and from older libraries: tuples written as `items: [...]` are understood, and nothing is
ever fetched from a URL that a schema names.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headway.core.lazy import Lazy

if TYPE_CHECKING:
    import jsonschema
    import referencing
    import referencing.exceptions
else:
    jsonschema, referencing = Lazy("jsonschema"), Lazy("referencing")

__all__ = ["Problem", "UnusableSchema", "check_schema", "closest", "problems"]


class UnusableSchema(ValueError):
    """The schema itself is wrong; the message says where."""


@dataclass(frozen=True, slots=True)
class Problem:
    """`path` leads to the field from the object's root; `message` does not repeat it."""

    path: tuple[str | int, ...]
    message: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.message}" if self.path else self.message


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise `UnusableSchema` unless this is a JSON Schema of an object."""
    try:
        jsonschema.Draft202012Validator.check_schema(_modern(schema))
    except jsonschema.SchemaError as error:
        where = dotted(error.path) or "its root"
        raise UnusableSchema(f"invalid JSON Schema at {where}: {_short(error.message)}") from None


def problems(
    value: Mapping[str, Any], schema: Mapping[str, Any], *, required: bool = True, none_is_unset: bool = False
) -> list[Problem]:
    """At most one problem per field of `value`, ordered by path; empty if it fits.

    `required=False` ignores missing fields at every level; `none_is_unset` takes None for a top-level field that
    need not be given as not given.
    """
    modern = _modern(schema) if required else _without_required(_modern(schema))
    if none_is_unset:
        needed = set(schema.get("required") or ())
        value = {name: item for name, item in value.items() if item is not None or name in needed}
    kind = jsonschema.Draft202012Validator
    validator = kind(modern, format_checker=kind.FORMAT_CHECKER, registry=referencing.Registry())
    try:
        found = list(validator.iter_errors(value))
    except referencing.exceptions.Unresolvable as error:
        raise UnusableSchema(f"invalid JSON Schema: nothing is found at $ref '{error.ref}'") from None
    except RecursionError:
        raise UnusableSchema("invalid JSON Schema: its references go round in circles") from None
    by_path: dict[tuple[str | int, ...], Problem] = {}
    for one in found:
        for problem in _problems_of(one):
            by_path.setdefault(problem.path, problem)
    return sorted(by_path.values(), key=lambda problem: dotted(problem.path))


def closest(name: str, allowed: Collection[str]) -> str:
    """` (did you mean 'x'?)` or nothing."""
    close = difflib.get_close_matches(name, allowed, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def dotted(path: Iterable[str | int]) -> str:
    """("a", 0, "b") as `a[0].b`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _problems_of(error: jsonschema.ValidationError) -> list[Problem]:
    """The problems an error stands for: missing and unknown names count as problems of those names."""
    path = tuple(error.absolute_path)
    rule: Any = error.schema
    if error.validator == "required" and isinstance(error.instance, Mapping):
        names = [name for name in rule["required"] if name not in error.instance]
        return [Problem((*path, name), "is required") for name in names]
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        allowed = list(rule.get("properties") or {})
        extra = [name for name in error.instance if name not in allowed]
        known = f"; allowed: {', '.join(sorted(allowed))}" if allowed else ""
        return [Problem((*path, name), f"is not known{closest(name, allowed)}{known}") for name in extra]
    if error.validator in ("anyOf", "oneOf") and error.context:
        return [Problem(path, _alternatives(error))]
    return [Problem(path, _short(error.message))]


def _alternatives(error: jsonschema.ValidationError) -> str:
    """Every alternative of a union by its type where that is all that is wrong, else the nearest miss."""
    wanted = [item.validator_value for item in error.context if item.validator == "type"]
    if len(wanted) == len(error.context) and all(not item.path for item in error.context):
        return f"{_short(repr(error.instance))} is not of type {' or '.join(repr(name) for name in wanted)}"
    nearest = jsonschema.exceptions.best_match(iter(error.context))
    return _short(nearest.message if nearest else error.message)


def _short(text: str, limit: int = 200) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _modern(schema: Any) -> Any:
    """The schema with `items: [...]` of older drafts as `prefixItems`."""
    if isinstance(schema, Mapping):
        changed = {key: _modern(value) for key, value in schema.items()}
        if isinstance(changed.get("items"), list) and "prefixItems" not in changed:
            changed["prefixItems"] = changed.pop("items")
        return changed
    if isinstance(schema, list):
        return [_modern(item) for item in schema]
    return schema


def _without_required(schema: Any, names: bool = False) -> Any:
    """The schema without its `required` lists; `names`: the keys at this level are field names, not keywords."""
    if isinstance(schema, Mapping):
        return {
            key: _without_required(value, names=not names and key in ("properties", "$defs", "definitions"))
            for key, value in schema.items()
            if names or key != "required"
        }
    if isinstance(schema, list):
        return [_without_required(item) for item in schema]
    return schema
