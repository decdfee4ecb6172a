"""Flows on a real server: values, states, retries, hooks, names, subflows, time limits, interruptions."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from headway import Completed, Failed, State, flow, get_run_logger, runtime, tags, task
from headway.core.errors import FailedRun, MissingResult, ParameterError
from headway.sdk.states import RunTimeout

Unique = Callable[[str], str]


def test_a_flow_runs_and_its_history_is_on_the_server(history: Any, unique: Unique) -> None:
    @flow(name=unique("plain"), version="7", tags=["a"])
    def plain(x: int, y: int = 2) -> int:
        return x + y

    with tags("b"):
        assert plain("1") == 3
    run = history.run(unique("plain"))
    assert run.state_name == "Completed"
    assert run.parameters == {"x": "1", "y": 2}
    assert run.flow_version == "7"
    assert run.tags == ["a", "b"]
    assert history.states(run.id) == ["Pending", "Running", "Completed"]


def test_a_flow_that_is_deleted_between_two_calls_is_made_anew(history: Any, unique: Unique) -> None:
    @flow(name=unique("gone"))
    def gone() -> int:
        return 1

    assert gone() == 1
    history.client.delete_flow(history.run(unique("gone")).flow_id)
    assert history.runs(unique("gone")) == []
    assert gone() == 1
    assert history.run(unique("gone")).state_name == "Completed"


def test_an_async_flow_runs_like_a_sync_one(history: Any, unique: Unique) -> None:
    @task
    async def double(x: int) -> int:
        await asyncio.sleep(0)
        return 2 * x

    @flow(name=unique("async"))
    async def doubled(x: int) -> int:
        return await double(await double(x))

    assert asyncio.run(doubled(1)) == 4
    run = history.run(unique("async"))
    assert run.state_name == "Completed"
    assert [t.state_name for t in history.task_runs(run.id, 2)] == ["Completed", "Completed"]


def test_an_exception_fails_the_run_and_reaches_the_caller(history: Any, unique: Unique) -> None:
    @flow(name=unique("bad"))
    def bad() -> None:
        raise ValueError("no good")

    with pytest.raises(ValueError, match="no good"):
        bad()
    run = history.run(unique("bad"))
    assert run.state_name == "Failed"
    assert run.state.message == "Flow run encountered an exception: ValueError: no good"
    assert any("Traceback" in log.message for log in history.logs(run.id, "Encountered exception"))


def test_return_state_gives_the_state_instead_of_raising(server: str, unique: Unique) -> None:
    @flow(name=unique("bad"))
    def bad() -> None:
        raise ValueError("no good")

    state: Any = bad(return_state=True)  # type: ignore[call-arg]
    assert isinstance(state, State)
    assert state.is_failed()
    assert isinstance(state.result(raise_on_failure=False), ValueError)


@pytest.mark.parametrize("how", ["return", "raise"])
def test_a_flow_may_return_or_raise_the_state_it_ends_in(history: Any, unique: Unique, how: str) -> None:
    @flow(name=unique("own"))
    def own() -> Any:
        if how == "raise":
            raise Failed("on purpose")
        return Failed("on purpose")

    with pytest.raises(FailedRun, match="on purpose"):
        own()
    assert history.run(unique("own")).state.message == "on purpose"


def test_a_returned_completed_state_keeps_its_name_and_value(history: Any, unique: Unique) -> None:
    @flow(name=unique("skips"))
    def skips() -> Any:
        return Completed("nothing to do", name="Skipped", data=5)

    assert skips() == 5
    run = history.run(unique("skips"))
    assert (run.state_name, run.state.message) == ("Skipped", "nothing to do")


def test_a_flow_that_returns_failed_task_states_fails(server: str, unique: Unique) -> None:
    @task
    def sometimes(x: int) -> int:
        if x:
            raise ValueError(x)
        return x

    @flow(name=unique("mixed"))
    def mixed() -> Any:
        return [sometimes(0, return_state=True), sometimes(1, return_state=True)]  # type: ignore[call-arg]

    state: Any = mixed(return_state=True)  # type: ignore[call-arg]
    assert state.is_failed()
    assert state.message == "1/2 states failed."


def test_a_flow_is_retried_with_its_delays_and_the_states_say_so(history: Any, unique: Unique) -> None:
    tried: list[int] = []

    @flow(name=unique("flaky"), retries=2, retry_delay_seconds=[0, 1])
    def flaky() -> int:
        tried.append(runtime.flow_run.run_count)
        if len(tried) < 3:
            raise ValueError("again")
        return len(tried)

    assert flaky() == 3
    assert tried == [1, 2, 3]
    run = history.run(unique("flaky"))
    assert run.run_count == 3
    assert history.states(run.id) == [
        "Pending", "Running", "AwaitingRetry", "Running", "AwaitingRetry", "Running", "Completed",
    ]  # fmt: skip
    states = history.client.read_flow_run_states(run.id)
    due = states[4].state_details.scheduled_time
    assert 0.5 <= (due - states[4].timestamp).total_seconds() <= 1.1


def test_a_retry_condition_that_says_no_ends_the_run(history: Any, unique: Unique) -> None:
    tried = []

    @flow(name=unique("picky"), retries=3, retry_condition_fn=lambda flow, run, state: len(tried) < 2)
    def picky() -> None:
        tried.append(1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        picky()
    assert len(tried) == 2
    assert history.run(unique("picky")).state_name == "Failed"


def test_parameters_that_do_not_fit_fail_the_run_naming_each(history: Any, unique: Unique) -> None:
    @flow(name=unique("typed"))
    def typed(n: int, when: float) -> None: ...

    with pytest.raises(ParameterError, match=r"n: .*integer.*\(got 'x'\); when: .*number"):
        typed("x", "y")  # type: ignore[arg-type]
    run = history.run(unique("typed"))
    assert run.state_name == "Failed"
    assert "n: Input should be a valid integer" in run.state.message


def test_arguments_that_cannot_be_bound_never_become_a_run(history: Any, unique: Unique) -> None:
    @flow(name=unique("unbound"))
    def unbound(n: int) -> None: ...

    with pytest.raises(ParameterError, match="missing a required argument: 'n'"):
        unbound()  # type: ignore[call-arg]
    assert history.runs(unique("unbound")) == []


def test_hooks_are_called_with_flow_run_and_state_and_may_fail(history: Any, unique: Unique) -> None:
    called: list[tuple[str, str, str]] = []

    def note(kind: str) -> Callable[[Any, Any, Any], None]:
        return lambda flow, run, state: called.append((kind, flow.name, state.name))

    def broken(flow: Any, run: Any, state: Any) -> None:
        raise RuntimeError("hook")

    async def awaited(flow: Any, run: Any, state: Any) -> None:
        await asyncio.sleep(0)
        called.append(("async", str(run.name), state.name))

    @flow(name=unique("hooked"), on_running=[note("running")], on_completion=[broken, note("completion"), awaited])
    def hooked() -> None: ...

    @hooked.on_failure
    def on_failure(flow: Any, run: Any, state: Any) -> None:
        called.append(("failure", "", ""))

    hooked()
    run = history.run(unique("hooked"))
    name = unique("hooked")
    assert called == [("running", name, "Running"), ("completion", name, "Completed"), ("async", run.name, "Completed")]
    history.logs(run.id, "The hook 'broken' raised.")


def test_failure_and_crash_hooks_are_called_for_their_ends(history: Any, unique: Unique) -> None:
    called: list[str] = []

    def build(error: BaseException) -> Any:
        @flow(
            name=unique(type(error).__name__),
            on_failure=[lambda f, r, s: called.append(f"failure {s.name}")],
            on_crashed=[lambda f, r, s: called.append(f"crashed {s.name}")],
        )
        def ends() -> None:
            raise error

        return ends

    with pytest.raises(ValueError):
        build(ValueError())()
    with pytest.raises(KeyboardInterrupt):
        build(KeyboardInterrupt())()
    assert called == ["failure Failed", "crashed Crashed"]
    assert history.run(unique("KeyboardInterrupt")).state_name == "Crashed"


def test_runs_are_named_from_a_template_or_a_function(history: Any, unique: Unique) -> None:
    @flow(name=unique("template"), flow_run_name="load-{month}")
    def template(month: str) -> str | None:
        return runtime.flow_run.name

    @flow(name=unique("function"), flow_run_name=lambda parameters: f"m{parameters['month']}")
    def function(month: int) -> str | None:
        return runtime.flow_run.name

    assert template("may") == "load-may"
    assert function(5) == "m5"
    with pytest.raises(ParameterError, match="uses 'nope', which is not a parameter; its parameters: month"):
        template.with_options(flow_run_name="{nope}")("may")
    assert [run.name for run in history.runs(unique("template"))] == ["load-may"]


def test_a_subflow_is_a_run_of_its_own_under_a_task_run_of_its_parent(history: Any, unique: Unique) -> None:
    @task
    def one() -> int:
        return 1

    @flow(name=unique("child"))
    def child(x: int) -> int:
        assert str(runtime.flow_run.root_flow_run_id) != str(runtime.flow_run.id)
        return x + one()

    @flow(name=unique("parent"))
    def parent() -> int:
        return child(one.submit())  # type: ignore[arg-type]

    assert parent() == 2
    parent_run, child_run = history.run(unique("parent")), history.run(unique("child"))
    found = {t.name: t for t in history.task_runs(parent_run.id, 2)}
    link = found[f"{unique('child')}-0"]
    assert child_run.parent_task_run_id == link.id
    assert link.state_name == "Completed"
    assert link.state.state_details.child_flow_run_id == child_run.id
    assert [entry.id for entry in link.task_inputs["x"]] == [found["one-0"].id]
    assert child_run.parameters == {"x": 1}


def test_the_failure_of_a_subflow_is_an_exception_in_its_parent(history: Any, unique: Unique) -> None:
    @flow(name=unique("child"))
    def child() -> None:
        raise KeyError("inner")

    @flow(name=unique("parent"))
    def parent() -> str:
        try:
            child()
        except KeyError:
            return "handled"
        return "missed"

    assert parent() == "handled"
    assert history.run(unique("child")).state_name == "Failed"
    assert history.run(unique("parent")).state_name == "Completed"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_flow_that_takes_too_long_is_timed_out(history: Any, unique: Unique, kind: str) -> None:
    @flow(name=unique("slow"), timeout_seconds=0.3)
    def slow() -> None:
        time.sleep(60)

    @flow(name=unique("slow"), timeout_seconds=0.3)
    async def slow_async() -> None:
        await asyncio.sleep(60)

    started = time.monotonic()
    with pytest.raises(RunTimeout, match=r"limit of 0\.3"):
        slow() if kind == "sync" else asyncio.run(slow_async())
    assert time.monotonic() - started < 20
    run = history.run(unique("slow"))
    assert (run.state_type, run.state_name) == ("FAILED", "TimedOut")


def test_a_time_limit_is_not_held_up_by_submitted_tasks(history: Any, unique: Unique) -> None:
    @task
    def sleeps() -> None:
        time.sleep(60)

    @flow(name=unique("slow"), timeout_seconds=0.5)
    def slow() -> None:
        sleeps.submit().result()

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        slow()
    assert time.monotonic() - started < 20
    (task_run,) = history.task_runs(history.run(unique("slow")).id, 1)
    assert task_run.state_name == "Crashed"


def test_logs_of_loggers_standard_logging_and_prints_reach_the_run(history: Any, unique: Unique) -> None:
    @task
    def tells() -> None:
        get_run_logger().warning("from the task")
        print("task prints")

    @flow(name=unique("talks"), log_prints=True)
    def talks() -> None:
        get_run_logger().info("from the run logger")
        logging.getLogger("my.library").warning("from a library")
        print("printed", 5, sep="-")
        tells()

    talks()
    run = history.run(unique("talks"))
    logs = history.logs(run.id, "Finished in state")
    by_message = {log.message: log for log in logs}
    assert by_message["from the run logger"].name == "headway.flow_runs"
    assert by_message["from the run logger"].level == logging.INFO
    assert by_message["from a library"].name == "my.library"
    assert "printed-5" in by_message
    (task_run,) = history.task_runs(run.id, 1)
    assert by_message["from the task"].task_run_id == task_run.id
    assert by_message["task prints"].task_run_id == task_run.id


def test_logging_is_as_before_once_the_run_has_ended(server: str, unique: Unique, capsys: Any) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))

    @flow(name=unique("quiet"), log_prints=True)
    def quiet() -> None: ...

    quiet()
    assert (root.level, list(root.handlers)) == before
    capsys.readouterr()
    print("plain")
    assert capsys.readouterr().out == "plain\n"


def test_an_unpersisted_result_is_not_there_for_others(history: Any, unique: Unique) -> None:
    from headway import state_of

    @flow(name=unique("light"))
    def light() -> int:
        return 1

    light()
    with pytest.raises(MissingResult, match="persist_result=True"):
        state_of(history.run(unique("light"))).result()


def test_runtime_knows_the_run_inside_and_nothing_outside(server: str, unique: Unique) -> None:
    @task
    def inner() -> dict[str, Any]:
        return {"task": runtime.task_run.name, "count": runtime.task_run.run_count, "flow": runtime.flow_run.flow_name}

    @flow(name=unique("known"))
    def known(n: int) -> dict[str, Any]:
        return {**inner(), "parameters": runtime.flow_run.parameters, "id": runtime.flow_run.id}

    found = known(3)
    assert found["task"] == "inner-0"
    assert found["count"] == 1
    assert found["flow"] == unique("known")
    assert found["parameters"] == {"n": 3}
    assert found["id"] is not None
    assert runtime.flow_run.id is None
    assert runtime.task_run.name is None
    assert runtime.deployment.id is None
