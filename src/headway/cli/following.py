"""Waiting for a run: its states as they come, its log lines as they arrive, until it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from headway.cli.app import App
from headway.core.errors import ServerUnreachable, Unavailable
from headway.core.states import TERMINAL, StateType
from headway.wire.filters import IdAny, LogFilter, TaskRunFilter, TimeRange
from headway.wire.flow_runs import FlowRun
from headway.wire.logs import Log, LogQuery
from headway.wire.states import State
from headway.wire.task_runs import TaskRunQuery

if TYPE_CHECKING:
    from headway.client.sync import SyncClient

__all__ = ["LogReader", "exit_code", "follow_logs", "level_name", "log_text", "watch_run"]

T = TypeVar("T")
POLL_SECONDS = 0.5
STILL_SECONDS = 5.0
"""After this long without news a person is told that the wait goes on."""
OVERLAP = timedelta(seconds=10)
"""Lines may arrive late and out of order: so far back the log is read again."""
PAGE = 200
LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}


def watch_run(app: App, client: SyncClient, run: FlowRun, *, logs: bool = False) -> FlowRun:
    """Show each state (and log line) of a run until it has ended; the run as it is then."""
    try:
        return _watch(app, client, run, logs)
    except KeyboardInterrupt:
        app.note(f"The run goes on. Watch it again: headway flow-run watch {run.id} (or stop it: … cancel {run.id})")
        raise


def _watch(app: App, client: SyncClient, run: FlowRun, logs: bool) -> FlowRun:
    patient = _Patience(app)
    shown: set[UUID] = set()
    reader = LogReader(client, run.id)
    said = time.monotonic()
    while True:
        run = patient(client.read_flow_run, run.id)
        news = _show_states(app, patient(client.read_flow_run_states, run.id), shown)
        if logs:
            news += _show_logs(app, patient(reader.new_lines), reader)
        if run.state_type in TERMINAL:
            if logs:  # the last lines may come after the last state
                time.sleep(POLL_SECONDS)
                _show_logs(app, patient(reader.new_lines), reader)
            return run
        if news:
            said = time.monotonic()
        elif time.monotonic() - said > STILL_SECONDS:
            said = time.monotonic()
            waits = run.state_type == StateType.SCHEDULED
            hint = f"; `headway flow-run explain {run.id}` says why a run waits" if waits else ""
            app.note(f"… still {run.state_name}{hint}.")
        time.sleep(POLL_SECONDS)


def follow_logs(app: App, client: SyncClient, run: FlowRun) -> FlowRun:
    """Show the log lines of a run as they arrive, until it has ended and no more come."""
    patient = _Patience(app)
    reader = LogReader(client, run.id)
    quiet = False
    while True:
        run = patient(client.read_flow_run, run.id)
        ended = run.state_type in TERMINAL
        news = _show_logs(app, patient(reader.new_lines), reader)
        if ended and quiet and not news:
            return run
        quiet = ended and not news
        time.sleep(POLL_SECONDS)


class LogReader:
    """The lines of a run that have not been read yet, in the order of their time."""

    def __init__(self, client: SyncClient, flow_run_id: UUID) -> None:
        self._client = client
        self._run = flow_run_id
        self._seen: set[UUID] = set()
        self._newest: datetime | None = None
        self._tasks: dict[UUID, str] = {}

    def new_lines(self) -> list[Log]:
        since = None if self._newest is None else self._newest - OVERLAP
        found: list[Log] = []
        offset = 0
        while True:
            page = self._page(since, offset)
            found += [line for line in page if line.id not in self._seen]
            self._seen.update(line.id for line in page)
            if len(page) < PAGE:
                break
            offset += PAGE
        if found:
            newest = max(line.timestamp for line in found)
            self._newest = newest if self._newest is None else max(newest, self._newest)
            self._learn_tasks(found)
        return found

    def text(self, line: Log) -> str:
        """One line for people; it names the task run that it is from."""
        return log_text(line, None if line.task_run_id is None else self._tasks.get(line.task_run_id))

    def _learn_tasks(self, found: list[Log]) -> None:
        unknown = {line.task_run_id for line in found if line.task_run_id} - self._tasks.keys()
        wanted = sorted(unknown)
        for start in range(0, len(wanted), PAGE):
            ids = IdAny(any_=wanted[start : start + PAGE])
            for task in self._client.read_task_runs(TaskRunQuery(task_runs=TaskRunFilter(id=ids), limit=PAGE)):
                self._tasks[task.id] = task.name

    def _page(self, since: datetime | None, offset: int) -> list[Log]:
        after = None if since is None else TimeRange(after_=since)
        wanted = LogFilter(flow_run_id=IdAny(any_=[self._run]), timestamp=after)
        lines: list[Log] = self._client.read_logs(LogQuery(logs=wanted, limit=PAGE, offset=offset))
        return lines


class _Patience:
    """Asks again while the server is away, and says so once."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._waiting = False

    def __call__(self, ask: Callable[..., T], *arguments: Any) -> T:
        while True:
            try:
                answer = ask(*arguments)
            except (ServerUnreachable, Unavailable) as error:
                if not self._waiting:
                    self._app.warn(f"{error.message} Waiting for it.")
                self._waiting = True
                time.sleep(POLL_SECONDS)
            else:
                self._waiting = False
                return answer


def _show_states(app: App, states: list[State], shown: set[UUID]) -> int:
    news = [state for state in states if state.id not in shown]
    for state in news:
        shown.add(state.id)
        message = f"  {state.message}" if state.message else ""
        app.show_line({"state": state}, f"{_clock(state.timestamp)}  {state.name}{message}")
    return len(news)


def _show_logs(app: App, lines: list[Log], reader: LogReader) -> int:
    for line in lines:
        app.show_line({"log": line}, reader.text(line))
    return len(lines)


def log_text(line: Log, task: str | None = None) -> str:
    """One log line for people; `task` is the name of the task run that wrote it."""
    source = f"Task run '{task}' - " if task else ""
    return f"{_clock(line.timestamp)}  {level_name(line.level):<8} {source}{line.message}"


def level_name(level: int) -> str:
    """The usual name of a level, e.g. INFO for 20."""
    return LEVELS.get(level, str(level))


def _clock(moment: datetime | None) -> str:
    return "--:--:--" if moment is None else moment.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]


def exit_code(run: Any) -> int:
    """What a command that waited for a run exits with: 0 if it completed."""
    return 0 if run.state_type == StateType.COMPLETED else 1
