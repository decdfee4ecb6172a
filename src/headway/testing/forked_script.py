"""In the engine's place in tests of warm starts: each run executes the script that its environment holds."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

__all__ = ["SCRIPT", "prepare"]

SCRIPT = "FORKED_SCRIPT"


def prepare(entrypoint: str | None = None, roots: Sequence[str] = ()) -> Callable[[], int]:
    """`entrypoint` names a module that the template is to load, `roots` where it is."""
    sys.path[:0] = roots
    if entrypoint:
        __import__(entrypoint)
    return execute


def execute() -> int:
    exec(compile(os.environ.pop(SCRIPT), "<script>", "exec"), {"__name__": "__main__"})
    return 0
