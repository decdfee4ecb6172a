"""Walks an OpenAPI document's filter models and makes a question of every (model, field, operator).

Used by the conformance tests of the /filter routes: each question is a filter object over a
`filter_world` that should tell its rows apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from headway.testing.filter_world import Row, World

__all__ = ["MODELS", "Question", "questions"]

MODELS = {
    "flow": "FlowFilter",
    "flow_run": "FlowRunFilter",
    "task_run": "TaskRunFilter",
    "deployment": "DeploymentFilter",
    "work_pool": "WorkPoolFilter",
    "work_queue": "WorkQueueFilter",
    "worker": "WorkerFilter",
    "log": "LogFilter",
}
"""Table → the reference's name of the filter on it."""

STRANGER = UUID("00000000-0000-4000-8000-000000000000")
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """One filter object, and what it was made for; `path` is e.g. ("state", "type") with operator "any_"."""

    table: str
    path: tuple[str, ...]
    operator: str
    filter: dict[str, Any]

    @property
    def key(self) -> tuple[str, str, str]:
        return (MODELS[self.table], ".".join(self.path), self.operator)


def questions(schemas: Mapping[str, Schema], world: World) -> Iterator[Question]:
    """At least one question for every operator of every field of every model."""
    for table, model in MODELS.items():
        plain = [
            Question(table, path, name, nested((*path, name), value))
            for path, name, schema in operators(schemas, schemas[model], ())
            if name != "operator"
            for value in values(world, table, path, name, schema)
        ]
        yield from plain
        for path, name, _ in operators(schemas, schemas[model], ()):
            if name == "operator":
                yield from joins(table, path, plain)


def operators(
    schemas: Mapping[str, Schema], schema: Schema, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str, Schema]]:
    """(path, operator, its schema); a member that refers to another filter model is a step of the path."""
    for name, member in schema["properties"].items():
        target = referred(schemas, member)
        if target is not None and "properties" in target:
            yield from operators(schemas, target, (*path, name))
        else:
            yield path, name, member


def joins(table: str, path: tuple[str, ...], plain: list[Question]) -> Iterator[Question]:
    """Up to three criteria below `path`, joined by and_ and by or_."""
    below: dict[str, dict[str, Any]] = {}
    for question in plain:
        steps = (*question.path, question.operator)
        if steps[: len(path)] == path:
            below.setdefault(steps[len(path)], question.filter)
    for word in ("and_", "or_"):
        merged = nested((*path, "operator"), word)
        for filter in list(below.values())[:3]:
            merged = merge(merged, filter)
        yield Question(table, path, "operator", merged)


def nested(steps: tuple[str, ...], value: Any) -> dict[str, Any]:
    for step in reversed(steps):
        value = {step: value}
    return dict(value)


def merge(left: dict[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(left)
    for key, value in right.items():
        both[key] = merge(both[key], value) if isinstance(both.get(key), dict) else value
    return both


def referred(schemas: Mapping[str, Schema], member: Schema) -> Schema | None:
    for choice in (member, *member.get("anyOf", ())):
        if "$ref" in choice:
            return schemas[choice["$ref"].rpartition("/")[2]]
    return None


def values(world: World, table: str, path: tuple[str, ...], name: str, schema: Schema) -> list[Any]:
    """Values that tell rows apart, for one operator."""
    kinds = {choice.get("type") for choice in (schema, *schema.get("anyOf", ()))}
    if "boolean" in kinds:
        return [True, False]
    present = sorted({value for row in world[table] for value in found(world, row, path)}, key=str)
    if path == ("created_by",):
        present = sorted({row["created_by"][name.rstrip("_")] for row in world[table] if row["created_by"]})
    if "array" in kinds:
        stranger = STRANGER if isinstance(present[0], UUID) or name == "id_" else "stranger"
        return array_values(present, name, [stranger] if path != ("state", "type") and path != ("status",) else [])
    if name in ("like_", "query"):
        return [str(present[len(present) // 2])[:5].swapcase(), "-1", "no such text"][: 3 if name == "like_" else 1]
    return [present[len(present) // 2]]


def array_values(present: list[Any], name: str, stranger: list[Any]) -> list[list[Any]]:
    if name == "startswith_":
        return [[str(present[0])[:4].swapcase(), "zzz"]]
    if name == "all_":
        return [present[:1], present[:2]]
    return [present[::3] + stranger, present[:1]]


def found(world: World, row: Row, path: tuple[str, ...]) -> list[Any]:
    """The values a row has for a field, for choosing values to ask for."""
    name = {("state", "type"): "state_type", ("state", "name"): "state_name", ("text",): "message",
            ("flow_or_deployment_name",): "name"}.get(path, path[-1] if path else "id")  # fmt: skip
    if name == "parent_flow_run_id":
        return [run["id"] for run in world["flow_run"]]
    value = row.get(name)
    if value is None or isinstance(value, dict):
        return []
    return list(value) if isinstance(value, list) else [value]
