"""Log records of runs: `get_run_logger`, capture of standard logging, and of `print` where asked for.

Records made inside a run go to the API with the run's ids. `Capture` is switched on by root runs and counts
them, so that the process's logging is as before once the last one has ended.
"""

from __future__ import annotations

import builtins
import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headway.core.errors import HeadwayError
from headway.core.ids import new_id
from headway.sdk.context import FLOW, TASK, FlowRunContext, MissingContext, TaskRunContext, current_context
from headway.sdk.tracebacks import RunFormatter

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["Capture", "flow_logger", "get_run_logger", "print_logger", "task_logger", "tell"]

LONGEST_LINE = 900_000
FLOW_LOGGER = "headway.flow_runs"
TASK_LOGGER = "headway.task_runs"
OWN = ("headway.sdk", "headway.client", "headway.server", "headway.store", "asyncio", "aiohttp", "urllib3")


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that knows its run."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def flow_logger(context: FlowRunContext) -> RunLogger:
    extra = {"flow_run_id": context.run.id, "run_words": f"Flow run {context.run.name!r}"}
    return RunLogger(logging.getLogger(FLOW_LOGGER), {**extra, "run_session": context.session})


def task_logger(context: TaskRunContext) -> RunLogger:
    info = context.info
    extra = {"flow_run_id": info.flow_run_id, "task_run_id": info.id, "run_words": f"Task run {info.name!r}"}
    return RunLogger(logging.getLogger(TASK_LOGGER), {**extra, "run_session": context.session})


def tell(context: TaskRunContext, message: str) -> None:
    """Log a line of the engine's own about a task run, at INFO.

    Where nobody but this module listens, the line goes where it would have gone without the record in between,
    which costs more than running a small task.
    """
    if not CAPTURE.is_alone():
        task_logger(context).info("%s", message)
        return
    if CAPTURE.takes(logging.INFO):
        info, session, created = context.info, context.session, time.time()
        if CAPTURE.console is not None:
            CAPTURE.console.show(created, "INFO", f"Task run {info.name!r}", message)
        if session.log_level <= logging.INFO:
            session.logs.put(_line(TASK_LOGGER, logging.INFO, message, created, info.flow_run_id, info.id))


def _line(name: str, level: int, message: str, created: float, flow_run_id: Any, task_run_id: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "name": name,
        "level": level,
        "message": message[:LONGEST_LINE],
        "timestamp": datetime.fromtimestamp(created, UTC),
        "flow_run_id": flow_run_id,
        "task_run_id": task_run_id,
    }


def get_run_logger() -> RunLogger:
    """The logger of the task run or flow run around this code; MissingContext outside of runs."""
    context = current_context()
    if context is None:
        raise MissingContext("get_run_logger() works inside flows and tasks only; use logging.getLogger() elsewhere.")
    return task_logger(context) if isinstance(context, TaskRunContext) else flow_logger(context)


class ApiHandler(logging.Handler):
    """Sends records made inside a run to that run's logs; never raises into the code that logs."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(RunFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(OWN):
            return
        session, flow_run_id, task_run_id = _owner(record)
        if session is None or record.levelno < session.log_level:
            return
        try:
            text = self.format(record)
            line = _line(record.name, record.levelno, text, record.created, flow_run_id, task_run_id)
            session.logs.put(line)
        except Exception:
            self.handleError(record)


def _owner(record: logging.LogRecord) -> tuple[Any, Any, Any]:
    """Session, flow run id and task run id of a record; from its logger, else from where it was made."""
    session = getattr(record, "run_session", None)
    if session is not None:
        return session, record.__dict__.get("flow_run_id"), record.__dict__.get("task_run_id")
    task = TASK.get()
    if task is not None:
        return task.session, task.info.flow_run_id, task.info.id
    flow = FLOW.get()
    return (None, None, None) if flow is None else (flow.session, flow.run.id, None)


class ConsoleHandler(logging.Handler):
    """Shows records of runs to a person who started the script; the engine's process does without."""

    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.setFormatter(RunFormatter())
        self._shown = (0, "")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.show(record.created, record.levelname, getattr(record, "run_words", None), self.format(record))
        except Exception:
            self.handleError(record)

    def show(self, created: float, level: str, words: str | None, message: str) -> None:
        """Write one line: time of day, level, which run, message."""
        second = int(created)
        shown = self._shown
        if shown[0] != second:  # a second has one text, whatever is logged in it
            shown = self._shown = second, time.strftime("%H:%M:%S", time.localtime(second))
        where = f"{words} - " if words else ""
        sys.stderr.write(f"{shown[1]}.{int((created - second) * 1000):03d} | {level:<7} | {where}{message}\n")


class Capture:
    """Logging of this process while runs are executed. `start` and `stop` may be nested."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._loggers = logging.root, logging.getLogger("headway"), logging.getLogger(TASK_LOGGER)
        self._undo: contextlib.ExitStack | None = None
        self.console: ConsoleHandler | None = None
        self._own: tuple[list[logging.Handler], list[logging.Handler]] | None = None

    def start(self, *, level: str, console: bool) -> None:
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                self._undo = contextlib.ExitStack()
                self._install(self._undo, level, console)

    def takes(self, level: int) -> bool:
        """Whether records of task runs of that level are made at all."""
        return self._loggers[2].isEnabledFor(level)

    def is_alone(self) -> bool:
        """Whether a record of a task run would be seen by the handlers of this module, and by nobody else."""
        own = self._own
        root, ours, tasks = self._loggers
        return (
            own is not None
            and root.handlers == own[0]
            and ours.handlers == own[1]
            and not tasks.handlers
            and not tasks.filters
            and tasks.propagate
            and ours.propagate
            and logging.getLogRecordFactory() is logging.LogRecord
        )

    def stop(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._undo is not None:
                self._undo.close()
                self._undo = self._own = None

    def _install(self, undo: contextlib.ExitStack, level: str, console: bool) -> None:
        root, ours, _ = self._loggers
        configured = bool(root.handlers)
        if console and not configured:
            # With a handler on the root, Python's handler of last resort falls silent; this one speaks for it.
            last = ConsoleHandler(logging.WARNING)
            last.addFilter(lambda record: not record.name.startswith("headway"))
            _attach(undo, root, last)
        if not configured:
            _set_level(undo, root, level)
        _attach(undo, root, ApiHandler())
        _set_level(undo, ours, level)
        self.console = ConsoleHandler() if console and not ours.handlers else None
        if self.console is not None:
            _attach(undo, ours, self.console)
        alone = not configured and len(ours.handlers) == (self.console is not None)
        self._own = (list(root.handlers), list(ours.handlers)) if alone else None
        undo.enter_context(_patched_print())


CAPTURE = Capture()


def _attach(undo: contextlib.ExitStack, logger: logging.Logger, handler: logging.Handler) -> None:
    logger.addHandler(handler)
    undo.callback(logger.removeHandler, handler)


def _set_level(undo: contextlib.ExitStack, logger: logging.Logger, level: str) -> None:
    undo.callback(logger.setLevel, logger.level)
    logger.setLevel(level)


@contextlib.contextmanager
def _patched_print() -> Iterator[None]:
    original = builtins.print

    def logging_print(*values: Any, **options: Any) -> None:
        logger = print_logger() if options.get("file") in (None, sys.stdout) else None
        if logger is None:
            original(*values, **options)
        else:
            separator = options.get("sep")
            logger.info((" " if separator is None else separator).join(str(value) for value in values))

    builtins.print = logging_print
    try:
        yield
    finally:
        if builtins.print is logging_print:
            builtins.print = original


def print_logger() -> RunLogger | None:
    """The logger that `print` goes to here, or None."""
    context = current_context()
    if context is None or not context.log_prints:
        return None
    with contextlib.suppress(HeadwayError):
        return get_run_logger()
    return None
