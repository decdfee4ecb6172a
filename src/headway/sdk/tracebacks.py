"""Tracebacks in the logs of runs: the person's own code, without the frames of the engine that calls it."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from types import TracebackType

__all__ = ["RunFormatter", "own_code"]

_ENGINE = str(Path(__file__).parent)


class RunFormatter(logging.Formatter):
    """The standard format of a record, with a traceback of the person's code only."""

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info or record.exc_text or record.stack_info:
            return super().format(record)
        record.message = record.getMessage()  # all there is to it: no time, no other fields
        return record.message

    def formatException(
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        return "" if ei[1] is None else own_code(ei[1])


def own_code(error: BaseException) -> str:
    """The traceback of an error and of what it came from. An error of the engine itself is shown whole."""
    told = traceback.TracebackException.from_exception(error)
    rest: list[traceback.TracebackException] = [told]
    while rest:
        part = rest.pop()
        own = [frame for frame in part.stack if not frame.filename.startswith(_ENGINE)]
        if own and own[-1] is part.stack[-1]:
            part.stack = traceback.StackSummary.from_list(own)
        rest += [origin for origin in (part.__cause__, part.__context__) if origin is not None]
    return "".join(told.format()).rstrip("\n")
