"""Tasks on a real server: calls, futures, maps, dependencies, retries, caches, results, runners, time limits."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from headway import (
    INPUTS,
    NO_CACHE,
    RUN_ID,
    TASK_SOURCE,
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

    @task(on_failure=[lambda t, r, s: called.append(f"{t.name} {s.name}")])
    def bad() -> None:
        raise ValueError

    @flow(name=unique("hooked"))
    def hooked() -> None:
        load(3)
        bad.submit().wait()

    hooked()
    assert called == ["load-3 Completed", "bad Failed"]


class Counter:
    """Counts calls of a task body; shared by the threads of a test."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


def run_twice(unique: Unique, cached: Any, first: dict[str, Any], second: dict[str, Any], flows: int = 1) -> list[Any]:
    """The results of two calls, in one flow run or in two."""

    @flow(name=unique("cached"))
    def calls(arguments: list[Any]) -> list[Any]:
        return [cached(**each) for each in arguments]

    if flows == 1:
        return calls([first, second])
    return [calls([first])[0], calls([second])[0]]


def test_inputs_hit_on_equal_inputs_and_miss_on_others(server: str, unique: Unique) -> None:
    count = Counter()

    @task(cache_policy=INPUTS)
    def cached(x: int) -> int:
        return count()

    assert run_twice(unique, cached, {"x": 1}, {"x": 1}, flows=2) == [1, 1]
    assert run_twice(unique, cached, {"x": 2}, {"x": 3}) == [2, 3]


def test_a_hit_is_a_cached_state_in_the_history(history: Any, unique: Unique) -> None:
    @task(cache_policy=INPUTS)
    def cached(x: str) -> str:
        return x

    run_twice(unique, cached, {"x": "a"}, {"x": "a"})
    run = history.run(unique("cached"))
    first, second = history.task_runs(run.id, 2)
    assert (first.state_name, second.state_name) == ("Completed", "Cached")
    assert history.task_states(second.id) == ["Pending", "Cached"]


def test_left_out_inputs_do_not_count(server: str, unique: Unique) -> None:
    count = Counter()

    @task(cache_policy=INPUTS - "noise")
    def cached(x: int, noise: int) -> int:
        return count()

    assert run_twice(unique, cached, {"x": 1, "noise": 1}, {"x": 1, "noise": 2}) == [1, 1]
    assert run_twice(unique, cached, {"x": 2, "noise": 1}, {"x": 3, "noise": 1}) == [2, 3]


def test_source_hits_for_the_same_code_and_misses_for_another(server: str, unique: Unique) -> None:
    count = Counter()

    @task(cache_policy=TASK_SOURCE)
    def one(x: int) -> int:
        return count()

    @task(cache_policy=TASK_SOURCE)
    def two(x: int) -> int:
        return 100 + count()

    assert run_twice(unique, one, {"x": 1}, {"x": 2}) == [1, 1]
    assert run_twice(unique, two, {"x": 1}, {"x": 1}) == [102, 102]


def test_run_id_hits_within_a_run_and_misses_in_the_next(server: str, unique: Unique) -> None:
    count = Counter()

    @task(cache_policy=RUN_ID)
    def cached(x: int) -> int:
        return count()

    assert run_twice(unique, cached, {"x": 1}, {"x": 2}) == [1, 1]
    assert run_twice(unique, cached, {"x": 1}, {"x": 1}, flows=2) == [2, 3]


def test_combinations_need_all_their_parts_to_be_equal(server: str, unique: Unique) -> None:
    count = Counter()

    @task(cache_policy=INPUTS + RUN_ID)
    def cached(x: int) -> int:
        return count()

    assert run_twice(unique, cached, {"x": 1}, {"x": 1}) == [1, 1]
    assert run_twice(unique, cached, {"x": 1}, {"x": 2}) == [2, 3]
    assert run_twice(unique, cached, {"x": 1}, {"x": 1}, flows=2) == [4, 5]


def test_the_default_policy_applies_to_persisted_results_within_a_run(server: str, unique: Unique) -> None:
    count = Counter()

    @task(persist_result=True)
    def kept(x: int) -> int:
        return count()

    @task
    def light(x: int) -> int:
        return count()

    assert run_twice(unique, kept, {"x": 1}, {"x": 1}) == [1, 1]
    assert run_twice(unique, kept, {"x": 1}, {"x": 1}, flows=2) == [2, 3]
    assert run_twice(unique, light, {"x": 1}, {"x": 1}) == [4, 5]


def test_no_cache_never_hits(server: str, unique: Unique) -> None:
    count = Counter()

    @task(cache_policy=NO_CACHE, persist_result=True)
    def fresh(x: int) -> int:
        return count()

    assert run_twice(unique, fresh, {"x": 1}, {"x": 1}) == [1, 2]


def test_a_key_function_decides_hits_and_misses(server: str, unique: Unique) -> None:
    count = Counter()

    @task(cache_key_fn=lambda context, parameters: f"{unique('key')}-{parameters['x'] % 2}")
    def cached(x: int) -> int:
        return count()

    assert run_twice(unique, cached, {"x": 1}, {"x": 3}) == [1, 1]
    assert run_twice(unique, cached, {"x": 5}, {"x": 2}) == [1, 2]


def test_an_expired_entry_misses_and_one_that_has_not_expired_hits(server: str, unique: Unique) -> None:
    count = Counter()

    def body(x: int) -> int:
        return count()

    lasting = task(cache_policy=INPUTS, cache_expiration=timedelta(hours=1))(body)
    fleeting = task(cache_policy=INPUTS + TASK_SOURCE, cache_expiration=timedelta(microseconds=1))(body)
    assert run_twice(unique, lasting, {"x": 1}, {"x": 1}) == [1, 1]
    assert run_twice(unique, fleeting, {"x": 1}, {"x": 1}) == [2, 3]


def test_refresh_runs_again_and_replaces_the_entry(server: str, unique: Unique) -> None:
    count = Counter()

    @task(cache_policy=INPUTS)
    def cached(x: int) -> int:
        return count()

    fresh = cached.with_options(refresh_cache=True)
    assert run_twice(unique, cached, {"x": 1}, {"x": 1}) == [1, 1]
    assert run_twice(unique, fresh, {"x": 1}, {"x": 1}) == [2, 3]
    assert run_twice(unique, cached, {"x": 1}, {"x": 1}) == [3, 3]


def test_a_cache_that_cannot_be_read_is_no_reason_to_fail(history: Any, unique: Unique, tmp_path: Path) -> None:
    @task(cache_key_fn=lambda context, parameters: "broken", result_storage=str(tmp_path / "store"))
    def cached() -> int:
        return 1

    (tmp_path / "store").mkdir()
    (tmp_path / "store/broken").write_bytes(b"rubbish")

    @flow(name=unique("broken"))
    def broken() -> int:
        return cached()

    assert broken() == 1
    history.logs(history.run(unique("broken")).id, "The cache could not be read")


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
