"""Calling the hooks of a flow or task: in order, inside the engine; one that raises is logged."""

from __future__ import annotations

import inspect
from typing import Any, Protocol

from headway.sdk.effects import Call, Engine
from headway.sdk.hooks import Hook

__all__ = ["run_hooks"]


class Teller(Protocol):
    @property
    def log(self) -> Any: ...


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
