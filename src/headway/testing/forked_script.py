"""In the engine's place in tests of warm starts: each run executes the script that its environment holds."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from headway.sdk.fresh_code import compare_by_content

__all__ = ["MODULES", "SCRIPT", "prepare"]

SCRIPT = "FORKED_SCRIPT"
MODULES = "FORKED_MODULES"


def prepare(modules: Sequence[str] = (), entrypoint: str | None = None, roots: Sequence[str] = ()) -> Callable[[], int]:
    """`modules` are looked for in the folder that the environment names, and compared as the engine does."""
    compare_by_content()
    sys.path[:0] = [os.environ.get(MODULES, ".")]
    for name in modules:
        import_module(name)
    return execute


def execute() -> int:
    exec(compile(os.environ.pop(SCRIPT), "<script>", "exec"), {"__name__": "__main__"})
    return 0


if __name__ == "__main__":
    sys.exit(execute())
