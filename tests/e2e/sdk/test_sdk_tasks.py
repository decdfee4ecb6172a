"""Tasks on a real server: calls, futures, maps, dependencies, retries, caches, results, runners, time limits."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from headway import (
    Completed,
    Failed,
    ProcessPoolTaskRunner,
    ThreadPoolTaskRunner,
    allow_failure,
    as_completed,
    flow,
    tags,
    task,
    unmapped,
    wait,
)
from headway.core.errors import ParameterError
from headway.sdk.futures import UpstreamFailed
from headway.sdk.states import RunTimeout

Unique = Callable[[str], str]


@task
def inc(x: int) -> int:
    return x + 1


@task
def fails(message: str = "no") -> None:
    raise ValueError(message)


def test_a_task_run_is_recorded_with_everything_it_was(history: Any, unique: Unique) -> None:
    @task(name="load", version="3", tags=["t"], retries=2, retry_delay_seconds=[0, 5], retry_jitter_factor=0.5)
    def load(x: int) -> int:
        return x

    @flow(name=unique("records"))
    def records() -> int:
        with tags("block"):
            return load(1) + inc(load.submit(2))  # type: ignore[arg-type]

    assert records() == 4
    run = history.run(unique("records"))
    first, after, second = sorted(history.task_runs(run.id, 3), key=lambda t: t.expected_start_time)
    assert {first.name, second.name, after.name} == {"load-0", "load-1", "inc-0"}
    assert first.flow_run_id == run.id
    assert first.task_version == "3"
    assert first.tags == ["block", "t"]
    assert first.run_count == 1
    assert first.empirical_policy.retries == 2
    assert first.empirical_policy.retry_delay == [0, 5]
    assert first.start_time <= first.end_time
    assert history.task_states(first.id) == ["Pending", "Running", "Completed"]
    by_name = {t.name: t for t in (first, after, second)}
    assert [entry.id for entry in by_name["inc-0"].task_inputs["x"]] == [by_name["load-1"].id]


def test_futures_have_states_results_and_callbacks(server: str, unique: Unique) -> None:
    called = threading.Event()

    @flow(name=unique("futures"))
    def futures() -> None:
        release = threading.Event()

        @task
        def waits() -> str:
            assert release.wait(30)
            return "done"

        future = waits.submit()
        assert not future.done()
        with pytest.raises(TimeoutError, match=r"has not ended within 0\.05"):
            future.result(timeout=0.05)
        future.add_done_callback(lambda f: called.set() if f is future else None)
        release.set()
        assert future.result(timeout=30) == "done"
        assert future.state.is_completed()
        assert called.wait(10)

    futures()


def test_wait_and_as_completed_tell_who_is_done(server: str, unique: Unique) -> None:
    @flow(name=unique("waits"))
    def waits() -> None:
        gates = [threading.Event(), threading.Event()]

        @task
        def gate(number: int) -> int:
            assert gates[number].wait(30)
            return number

        futures = [gate.submit(0), gate.submit(1)]
        gates[1].set()
        order = as_completed(futures, timeout=30)
        assert next(order) is futures[1]
        done, not_done = wait(futures, timeout=0)
        assert (done, not_done) == ({futures[1]}, {futures[0]})
        gates[0].set()
        assert next(order) is futures[0]

    waits()


def test_a_failed_task_raises_from_its_future_or_is_asked_not_to(server: str, unique: Unique) -> None:
    @flow(name=unique("fails"))
    def flowing() -> str:
        future = fails.submit("why")
        with pytest.raises(ValueError, match="why"):
            future.result()
        assert isinstance(future.result(raise_on_failure=False), ValueError)
        assert future.state.is_failed()
        return "survived"

    assert flowing() == "survived"


def test_what_depends_on_a_failure_is_not_run_unless_it_is_allowed(history: Any, unique: Unique) -> None:
    @task
    def describe(value: Any) -> str:
        return repr(value)

    @flow(name=unique("upstream"))
    def upstream() -> str:
        bad = fails.submit("broken")
        skipped = inc.submit(bad)
        chained = inc.submit(skipped)
        with pytest.raises(UpstreamFailed, match="did not reach a 'COMPLETED' state"):
            chained.result()
        return describe(allow_failure(bad))

    assert upstream() == "ValueError('broken')"
    run = history.run(unique("upstream"))
    states = {t.name: t.state_name for t in history.task_runs(run.id, 4)}
    assert states == {"fails-0": "Failed", "inc-0": "NotReady", "inc-1": "NotReady", "describe-0": "Completed"}


def test_wait_for_orders_tasks_that_share_no_data(history: Any, unique: Unique) -> None:
    order: list[str] = []

    @task
    def step(name: str) -> None:
        order.append(name)

    @flow(name=unique("order"))
    def ordered() -> None:
        gate = threading.Event()

        @task
        def first() -> None:
            assert gate.wait(30)
            order.append("first")

        before = first.submit()
        after = step.submit("second", wait_for=[before])
        gate.set()
        after.wait()
        step("third", wait_for=[after])  # type: ignore[call-arg]

    ordered()
    assert order == ["first", "second", "third"]
    run = history.run(unique("order"))
    found = {t.name: t for t in history.task_runs(run.id, 3)}
    assert [entry.id for entry in found["step-0"].task_inputs["wait_for"]] == [found["first-0"].id]


def test_map_spreads_iterables_and_repeats_the_rest(server: str, unique: Unique) -> None:
    @task
    def add(x: int, y: Any, z: int = 0) -> Any:
        return (x, y, z)

    @flow(name=unique("maps"))
    def maps() -> None:
        assert add.map([1, 2], y="text").result() == [(1, "text", 0), (2, "text", 0)]
        assert add.map(range(2), y=unmapped([9]), z=[5, 6]).result() == [(0, [9], 5), (1, [9], 6)]
        futures = inc.map([1, 2, 3])
        assert inc.map(futures).result() == [3, 4, 5]
        assert add.map(inc.submit(1), y=[1]).result() == [(2, 1, 0)]
        with pytest.raises(ParameterError, match=r"x has 2, y has 3.*unmapped"):
            add.map([1, 2], y=[1, 2, 3])
        with pytest.raises(ParameterError, match="needs at least one iterable"):
            inc.map(1)

    maps()


def test_submitting_outside_of_a_flow_says_what_to_do(server: str) -> None:
    with pytest.raises(ParameterError, match=r"work inside a flow; outside of flows call inc\(\.\.\.\)"):
        inc.submit(1)


def test_a_task_called_outside_of_a_flow_is_recorded_alone(history: Any, unique: Unique) -> None:
    @task(name=unique("alone"))
    def alone(x: int) -> int:
        return x

    assert alone(4) == 4
    state: Any = alone("x", return_state=True)  # type: ignore[call-arg, arg-type]
    assert state.is_failed()
    assert "x: Input should be a valid integer" in state.message


def test_async_tasks_run_beside_each_other(server: str, unique: Unique) -> None:
    @task
    async def meet(barrier: Any) -> int:
        await asyncio.to_thread(barrier.wait, 30)
        return 1

    @flow(name=unique("together"))
    async def together() -> int:
        barrier = threading.Barrier(2)
        futures = [meet.submit(barrier), meet.submit(barrier)]
        return sum([await future for future in futures])

    assert asyncio.run(together()) == 2


def test_a_task_is_retried_with_its_delays_and_condition(history: Any, unique: Unique) -> None:
    tried: list[int] = []

    @task(retries=3, retry_delay_seconds=[0, 0.05])
    def flaky() -> str:
        tried.append(1)
        if len(tried) < 3:
            raise ValueError("again")
        return "ok"

    asked: list[str] = []

    def only_key_errors(task: Any, run: Any, state: Any) -> bool:
        asked.append(f"{task.name} {run.run_count} {state.name}")
        return isinstance(state.result(raise_on_failure=False), KeyError)

    picky = fails.with_options(retries=5, retry_condition_fn=only_key_errors)

    @flow(name=unique("retried"))
    def retried() -> str:
        picky.submit().wait()
        return flaky()

    assert retried() == "ok"
    assert asked == ["fails 1 Failed"]
    run = history.run(unique("retried"))
    bad, good = history.task_runs(run.id, 2)
    assert (good.run_count, bad.run_count) == (3, 1)
    assert history.task_states(good.id) == [
        "Pending", "Running", "Retrying", "AwaitingRetry", "Retrying", "Completed",
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["call", "submit", "async"])
def test_a_task_that_takes_too_long_is_timed_out(history: Any, unique: Unique, how: str) -> None:
    @task(timeout_seconds=0.2)
    def slow() -> None:
        time.sleep(60)

    @task(name="slow", timeout_seconds=0.2)
    async def slow_async() -> None:
        await asyncio.sleep(60)

    @flow(name=unique("limits"))
    def limits() -> None:
        with pytest.raises(RunTimeout):
            slow() if how == "call" else (slow_async if how == "async" else slow).submit().result()

    started = time.monotonic()
    limits()
    assert time.monotonic() - started < 20
    (task_run,) = history.task_runs(history.run(unique("limits")).id, 1)
    assert (task_run.state_type, task_run.state_name) == ("FAILED", "TimedOut")


@pytest.mark.parametrize("make", [lambda: Failed("chosen"), lambda: Completed("chosen", name="Skipped", data=3)])
def test_a_task_may_return_its_state(history: Any, unique: Unique, make: Callable[[], Any]) -> None:
    @task
    def own() -> Any:
        return make()

    @flow(name=unique("own"))
    def owning() -> Any:
        return own(return_state=True)  # type: ignore[call-arg]

    expected = make()
    state: Any = owning(return_state=True)  # type: ignore[call-arg]
    assert state.type == expected.type
    (task_run,) = history.task_runs(history.run(unique("own")).id, 1)
    assert (task_run.state_name, task_run.state.message) == (expected.name, "chosen")


def test_task_hooks_and_run_names(history: Any, unique: Unique) -> None:
    called: list[str] = []

    @task(task_run_name="load-{x}", on_completion=[lambda t, r, s: called.append(f"{r.name} {s.name}")])
    def load(x: int) -> None: ...

    @task(on_crashed=[lambda t, r, s: called.append(f"{t.name} {s.name}")])
    def crash() -> None:
        raise SystemExit(3)

    @task(on_failure=[lambda t, r, s: called.append(f"{t.name} {s.name}")])
    def bad() -> None:
        raise ValueError

    @flow(name=unique("hooked"))
    def hooked() -> None:
        load(3)
        bad.submit().wait()
        assert crash.submit(return_state=True).is_crashed()  # type: ignore[attr-defined]

    hooked()
    assert called == ["load-3 Completed", "bad Failed", "crash Crashed"]


@task
def pid_of(x: int) -> tuple[int, int]:
    from headway import get_run_logger

    get_run_logger().info("in a child: %d", x)
    return x, os.getpid()


@task
def dies() -> None:
    os._exit(9)


@pytest.mark.parametrize("runner", [ThreadPoolTaskRunner(max_workers=2), ProcessPoolTaskRunner(max_workers=2)])
def test_task_runners_share_one_interface(history: Any, unique: Unique, runner: Any) -> None:
    @flow(name=unique("runs"), task_runner=runner)
    def runs() -> list[tuple[int, int]]:
        return pid_of.map([1, 2, 3]).result()

    found = runs()
    assert [x for x, _ in found] == [1, 2, 3]
    assert any(pid != os.getpid() for _, pid in found) == isinstance(runner, ProcessPoolTaskRunner)
    run = history.run(unique("runs"))
    for task_run in history.task_runs(run.id, 3):
        assert history.task_states(task_run.id) == ["Pending", "Running", "Completed"]
    logs = history.logs(run.id, "in a child: 3")
    assert {log.message for log in logs} >= {"in a child: 1", "in a child: 2"}


def test_a_process_that_dies_crashes_its_task_run_and_not_the_flow(history: Any, unique: Unique) -> None:
    @flow(name=unique("mortal"), task_runner=ProcessPoolTaskRunner(max_workers=1))
    def mortal() -> str:
        state = dies.submit()
        state.wait()
        assert state.state.is_crashed()
        return "lives"

    assert mortal() == "lives"
    (task_run,) = history.task_runs(history.run(unique("mortal")).id, 1)
    assert task_run.state_name == "Crashed"
    assert "lost this task run" in task_run.state.message
