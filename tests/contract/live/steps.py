"""What a step of the scenario is, and words for writing many of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Step:
    """One request. `path` and `body` may say `<name>` for what an earlier step saved (`save`: name → place)."""

    name: str
    method: str
    path: str
    body: Any = None
    save: dict[str, str] = field(default_factory=dict)
    until: Callable[[Any], bool] | None = None
    template: str = ""

    @property
    def route(self) -> str:
        """Method and path template as the reference's OpenAPI has it."""
        return f"{self.method} {self.template}"


class Route:
    """A path template of the reference; makes steps on it."""

    def __init__(self, method: str, template: str) -> None:
        self.method = method
        self.template = template

    def __call__(self, name: str, /, body: Any = None, save: dict[str, str] | None = None, query: str = "",
                 until: Callable[[Any], bool] | None = None, **path: str) -> Step:  # fmt: skip
        filled = self.template
        for key, value in path.items():
            filled = filled.replace(f"{{{key}}}", value)
        filled = f"{filled}?{query}" if query else filled
        return Step(
            f"{self.method} {self.template}: {name}", self.method, filled, body, save or {}, until, self.template
        )


def get(template: str) -> Route:
    return Route("GET", template)


def post(template: str) -> Route:
    return Route("POST", template)


def patch(template: str) -> Route:
    return Route("PATCH", template)


def delete(template: str) -> Route:
    return Route("DELETE", template)
