"""What is asked of a function when it is decorated: little, so that `inspect` is loaded by the first run."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

__all__ = ["documentation", "is_coroutine_function"]

CO_COROUTINE = 0x80


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Whether calling it makes a coroutine."""
    if type(function) is FunctionType:
        return bool(function.__code__.co_flags & CO_COROUTINE)
    import inspect  # for methods, partials and other callables

    return inspect.iscoroutinefunction(function)


def documentation(function: Callable[..., Any]) -> str | None:
    """Its docstring without the indentation."""
    if getattr(function, "__doc__", None) is None and type(function) is FunctionType:
        return None
    import inspect  # laziness is the point

    return inspect.getdoc(function)
