"""Following a run: every line once, late ones too, and patience with a server that is away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from headway.cli import following
from headway.cli.app import App
from headway.core.errors import ServerUnreachable
from headway.wire.flow_runs import FlowRun
from headway.wire.logs import Log, LogQuery
from headway.wire.states import State
from headway.wire.task_runs import TaskRun, TaskRunQuery

START = datetime(2026, 1, 15, 12, tzinfo=UTC)
RUN = uuid4()


def line(message: str, seconds: float) -> Log:
    moment = START + timedelta(seconds=seconds)
    return Log(id=uuid4(), created=moment, updated=moment, name="n", level=20, message=message, timestamp=moment)


def run_in(state: str, name: str | None = None) -> FlowRun:
    made = {"id": RUN, "created": START, "updated": START, "name": "r", "flow_id": uuid4()}
    return FlowRun(**made, state_type=state, state_name=name or state.title())


class FakeClient:
    """Answers from lists: one entry of `runs` per question, the last one for ever."""

    def __init__(self, runs: list[Any], logs: list[Log] | None = None) -> None:
        self.runs = runs
        self.logs = logs or []
        self.queries: list[LogQuery] = []
        self.tasks: list[TaskRun] = []

    def read_flow_run(self, _: Any) -> FlowRun:
        answer = self.runs.pop(0) if len(self.runs) > 1 else self.runs[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def read_flow_run_states(self, _: Any) -> list[State]:
        return []

    def read_task_runs(self, query: TaskRunQuery) -> list[TaskRun]:
        wanted = query.task_runs.id.any_ if query.task_runs and query.task_runs.id else []
        return [task for task in self.tasks if task.id in (wanted or [])]

    def read_logs(self, query: LogQuery) -> list[Log]:
        self.queries.append(query)
        after = query.logs.timestamp.after_ if query.logs and query.logs.timestamp else None
        found = sorted(
            (log for log in self.logs if after is None or log.timestamp >= after), key=lambda log: log.timestamp
        )
        return found[query.offset or 0 : (query.offset or 0) + query.limit]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following.time, "sleep", lambda _: None)


def test_each_line_is_read_once_and_a_late_one_is_not_missed() -> None:
    client = FakeClient([], [line("a", 0), line("b", 8)])
    reader = following.LogReader(client, RUN)
    assert [log.message for log in reader.new_lines()] == ["a", "b"]
    client.logs += [line("late", 5), line("c", 9)]
    assert [log.message for log in reader.new_lines()] == ["late", "c"]
    assert reader.new_lines() == []


def test_long_logs_are_read_page_by_page() -> None:
    client = FakeClient([], [line(str(number), number / 1000) for number in range(450)])
    assert len(following.LogReader(client, RUN).new_lines()) == 450
    assert [query.offset for query in client.queries] == [0, 200, 400]


def test_a_line_names_the_task_run_it_is_from_once_that_is_known() -> None:
    task = TaskRun(id=uuid4(), created=START, updated=START, name="double-0", task_key="double", dynamic_key="0")
    ours, flows = line("done", 1), line("sum: 12", 2)
    ours.task_run_id = task.id
    client = FakeClient([], [ours, flows])
    reader = following.LogReader(client, RUN)
    reader.new_lines()
    assert reader.text(ours) == "12:00:01.000  INFO     done"
    client.tasks = [task]
    client.logs.append(again := line("again", 3))
    again.task_run_id = task.id
    reader.new_lines()
    assert reader.text(again) == "12:00:03.000  INFO     Task run 'double-0' - again"
    assert reader.text(flows) == "12:00:02.000  INFO     sum: 12"


def test_watching_ends_with_the_run_and_shows_its_last_lines(capsys) -> None:
    client = FakeClient([run_in("RUNNING"), run_in("COMPLETED")], [line("last words", 0)])
    ended = following.watch_run(App(), client, run_in("SCHEDULED"), logs=True)
    assert following.exit_code(ended) == 0
    assert capsys.readouterr().out.count("last words") == 1


def test_a_server_that_is_away_is_waited_for_and_named_once(capsys) -> None:
    away = ServerUnreachable("No server answers at http://x.")
    client = FakeClient([away, away, away, run_in("FAILED")])
    ended = following.watch_run(App(), client, run_in("RUNNING"))
    assert following.exit_code(ended) == 1
    assert capsys.readouterr().err == "Warning: No server answers at http://x. Waiting for it.\n"


def test_without_news_a_person_is_told_that_the_wait_goes_on(capsys, monkeypatch) -> None:
    seconds = iter(range(0, 1000, 4))
    monkeypatch.setattr(following.time, "monotonic", lambda: float(next(seconds)))
    client = FakeClient([run_in("SCHEDULED", "Late")] * 4 + [run_in("COMPLETED")])
    following.watch_run(App(), client, run_in("SCHEDULED"))
    assert f"… still Late; `headway flow-run explain {RUN}`" in capsys.readouterr().err


def test_following_logs_ends_only_after_a_quiet_look(capsys) -> None:
    client = FakeClient([run_in("COMPLETED")], [line("one", 0)])
    app = App()
    app.as_json = True
    following.follow_logs(app, client, run_in("RUNNING"))
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1
    assert '"message": "one"' in out[0]


def test_only_a_run_that_waits_is_to_be_explained(capsys, monkeypatch) -> None:
    seconds = iter(range(0, 1000, 4))
    monkeypatch.setattr(following.time, "monotonic", lambda: float(next(seconds)))
    client = FakeClient([run_in("RUNNING")] * 4 + [run_in("COMPLETED")])
    following.watch_run(App(), client, run_in("RUNNING"))
    assert "… still Running.\n" in capsys.readouterr().err


def test_who_stops_watching_is_told_that_the_run_goes_on(capsys) -> None:
    client = FakeClient([])
    client.read_flow_run = lambda _: (_ for _ in ()).throw(KeyboardInterrupt())  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        following.watch_run(App(), client, run_in("RUNNING"))
    assert capsys.readouterr().err.startswith(f"The run goes on. Watch it again: headway flow-run watch {RUN}")
