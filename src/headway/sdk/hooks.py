"""Hooks: functions called with (flow or task, run, state) when a run enters a kind of state.

A hook that raises is logged and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["HOOKS", "Hook", "Hooks"]

Hook = Callable[..., Any]
HOOKS = ("on_running", "on_completion", "on_failure", "on_cancellation", "on_crashed")


class Hooks:
    """The hooks of a flow or task, by kind; each kind is also a decorator that adds one."""

    def __init__(self, given: dict[str, Sequence[Hook] | None]) -> None:
        self._hooks: dict[str, list[Hook]] = {kind: list(hooks or ()) for kind, hooks in given.items()}
        for kind, hooks in self._hooks.items():
            for hook in hooks:
                if not callable(hook):
                    raise TypeError(f"{kind} takes functions of (flow or task, run, state), not {hook!r}.")

    def __call__(self, kind: str) -> list[Hook]:
        return self._hooks.get(kind, [])

    def add(self, kind: str, hook: Hook) -> Hook:
        self._hooks.setdefault(kind, []).append(hook)
        return hook
