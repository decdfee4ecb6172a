"""Hooks: functions called with (flow or task, run, state) when a run enters a kind of state.

A hook that raises is logged and changes nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from headway.sdk.effects import Call, Engine

__all__ = ["HOOKS", "Hook", "Hooks", "run_hooks"]

Hook = Callable[..., Any]
HOOKS = ("on_running", "on_completion", "on_failure", "on_cancellation", "on_crashed")


class Teller(Protocol):
    @property
    def log(self) -> Any: ...


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


def run_hooks(hooks: list[Hook], owner: Any, run: Any, state: Any, teller: Teller) -> Engine[None]:
    """Call hooks in order. Async ones need an async run; in a sync one they run on a loop of their own."""
    for hook in hooks:
        name = getattr(hook, "__name__", repr(hook))
        try:
            yield Call(_blocking_if_needed(hook), (owner, run, state))
        except Exception:
            teller.log.exception("The hook %r raised.", name)


def _blocking_if_needed(hook: Hook) -> Hook:
    if not inspect.iscoroutinefunction(hook):
        return hook

    def call(*arguments: Any) -> Any:
        import asyncio  # only async hooks need it

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(hook(*arguments))
        return hook(*arguments)  # the engine is being awaited, and awaits this

    return call
