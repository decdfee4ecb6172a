"""Cache policies on a real server: each with a run that hits and one that misses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from headway import FLOW_PARAMETERS, INPUTS, NO_CACHE, RUN_ID, TASK_SOURCE, flow, task

Unique = Callable[[str], str]


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


def test_flow_parameters_hit_for_equal_ones_and_miss_for_others(server: str, unique: Unique) -> None:
    count = Counter()

    @task(cache_policy=FLOW_PARAMETERS)
    def cached(x: int) -> int:
        return count()

    @flow(name=unique("cached"))
    def calls(day: int) -> int:
        return cached(count.calls)

    assert [calls(1), calls(1), calls(2)] == [1, 1, 2]
