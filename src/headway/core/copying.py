"""`replace` for slotted frozen dataclasses, at a quarter of what `dataclasses.replace` costs.

A transition makes a dozen changed copies of the facts, and a server a thousand transitions a second: the general
function, which asks every field of the class about itself each time, was a third of what a decision cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

__all__ = ["replace"]

T = TypeVar("T")


def replace(one: T, /, **changes: Any) -> T:
    """A copy of `one` with these fields changed. Raises TypeError for a name that is not a field."""
    kind: Any = type(one)  # mypy does not take a type for hashable
    copied: T = _copier(kind)(one, changes)
    return copied


@cache
def _copier(kind: type) -> Callable[[Any, dict[str, Any]], Any]:
    """A function made for the class, as dataclasses makes its `__init__`: every field read and set by its slot."""
    names = [field.name for field in fields(kind)]

    def refuse(changes: dict[str, Any]) -> None:
        raise TypeError(f"{kind.__name__} has no field {min(changes.keys() - set(names))!r}")

    scope: dict[str, Any] = {"blank": object.__new__, "kind": kind, "known": frozenset(names), "refuse": refuse}
    lines = ["def copier(one, changes):", " if not known.issuperset(changes): refuse(changes)", " copy = blank(kind)"]
    for index, name in enumerate(names):
        scope[f"set{index}"] = getattr(kind, name).__set__  # frozen: its own __setattr__ refuses
        lines.append(f" set{index}(copy, changes[{name!r}] if {name!r} in changes else one.{name})")
    exec("\n".join([*lines, " return copy"]), scope)
    made: Callable[[Any, dict[str, Any]], Any] = scope["copier"]
    return made
