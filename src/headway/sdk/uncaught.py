"""How a script ends that was given something wrong: one line that names it, instead of a traceback.

A mistake in a name, a parameter or a schedule is not a defect of the program, and its message says what to do.
`python -X dev` shows the traceback all the same, and so does an interactive session.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Protocol

from headway.core.errors import DriverError, DriverNotFound, HeadwayError, RunError, SerializationError

__all__ = ["OneLine", "install"]

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SHOWN_WHOLE = (RunError, SerializationError, DriverError)
"""What went wrong while running: there the traceback leads to the cause."""


class Hook(Protocol):
    """The form of `sys.excepthook`."""

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None, /) -> object: ...


class OneLine:
    """An excepthook that tells mistakes in one line on stderr, and leaves everything else to `usual`."""

    def __init__(self, usual: Hook) -> None:
        self._usual = usual

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None, /) -> None:
        if is_mistake(error) and not sys.flags.dev_mode and not hasattr(sys, "ps1"):
            sys.stderr.write(f"{kind.__name__}: {error}{_place(trace)}\n")
        else:
            self._usual(kind, error, trace)


def is_mistake(error: BaseException) -> bool:
    """Whether the message says all there is to know."""
    if isinstance(error, DriverNotFound):
        return True
    return isinstance(error, HeadwayError) and not isinstance(error, _SHOWN_WHOLE)


def _place(trace: TracebackType | None) -> str:
    """Where the person's own code made the call: ' (etl.py, line 7)', or nothing."""
    place = ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith((_OURS, sys.base_prefix, sys.prefix, "<")):
            place = f" ({os.path.basename(file)}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place


def install() -> None:
    """Set the hook; harmless when it is set."""
    if not isinstance(sys.excepthook, OneLine):
        sys.excepthook = OneLine(sys.excepthook)
