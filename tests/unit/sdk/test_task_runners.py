"""The thread pool: how many run at once, tasks that wait for tasks, and stopping."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from headway.sdk.blocking import lend_place
from headway.sdk.states import Completed, State
from headway.sdk.task_runners import TaskCall, ThreadPoolTaskRunner


def call(work: Callable[[], Any]) -> TaskCall:
    def execute() -> State:
        return Completed(data=work())

    nothing = cast(Any, None)
    return TaskCall(
        task=nothing,
        info=nothing,
        parameters={},
        session=None,
        flow=None,
        context=contextvars.copy_context(),
        execute=execute,
    )


def test_as_many_run_at_once_as_there_are_workers() -> None:
    runner = ThreadPoolTaskRunner(max_workers=3)
    barrier = threading.Barrier(3)
    futures = [runner.run(call(lambda: barrier.wait(30))) for _ in range(3)]
    assert sorted(future.result(30).result() for future in futures) == [0, 1, 2]
    runner.stop()


def test_never_more_run_at_once_than_there_are_workers() -> None:
    runner = ThreadPoolTaskRunner(max_workers=2)
    lock, now, most = threading.Lock(), [0], [0]

    def work() -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.01)
        with lock:
            now[0] -= 1

    futures = [runner.run(call(work)) for _ in range(20)]
    for future in futures:
        future.result(30)
    runner.stop()
    assert most[0] <= 2


def test_tasks_that_wait_for_tasks_do_not_fill_the_pool_for_ever() -> None:
    runner = ThreadPoolTaskRunner(max_workers=1)

    def nested(depth: int) -> int:
        if depth == 0:
            return 0
        inner = runner.run(call(lambda: nested(depth - 1)))
        with lend_place():
            return 1 + int(inner.result(30).result())

    assert runner.run(call(lambda: nested(20))).result(60).result() == 20
    runner.stop()


def test_an_exception_in_the_engine_itself_reaches_the_future() -> None:
    runner = ThreadPoolTaskRunner()

    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.run(call(fail)).result(30)
    runner.stop()


def test_stopping_waits_unless_it_abandons_and_twice_is_harmless() -> None:
    release, done = threading.Event(), threading.Event()
    runner = ThreadPoolTaskRunner()
    runner.run(call(lambda: release.wait(30) and done.set()))
    runner.stop(abandon=True)
    assert not done.is_set()
    release.set()
    runner.stop()
    assert done.wait(30)
    runner.stop()


def test_a_pool_without_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ThreadPoolTaskRunner(max_workers=0)


def test_a_duplicate_has_the_same_options_and_nothing_else() -> None:
    runner = ThreadPoolTaskRunner(max_workers=4)
    other = runner.duplicate()
    assert other is not runner
    assert other.max_workers == 4
