"""Delays between tries."""

import pytest

from headway.core.errors import ParameterError
from headway.sdk.retries import delay_before, exponential_backoff, settle


def test_a_number_serves_every_retry() -> None:
    assert [delay_before(settle(3, 2), retry, None) for retry in (1, 2)] == [3.0, 3.0]


def test_the_last_delay_of_a_list_serves_all_further_retries() -> None:
    assert [delay_before(settle([1, 5], 4), retry, None) for retry in (1, 2, 3)] == [1.0, 5.0, 5.0]


def test_exponential_backoff_doubles() -> None:
    assert settle(exponential_backoff(10), 4) == [10.0, 20.0, 40.0, 80.0]


def test_a_function_gets_the_number_of_retries() -> None:
    assert settle(lambda retries: [retries] * retries, 2) == [2.0, 2.0]


def test_jitter_lengthens_a_delay_by_at_most_its_factor() -> None:
    delays = {delay_before(10.0, 1, 0.5) for _ in range(200)}
    assert len(delays) > 1
    assert all(10.0 <= delay <= 15.0 for delay in delays)


@pytest.mark.parametrize("wrong", [-1, [1, -1], [0] * 51, "soon"])
def test_a_delay_that_means_nothing_is_refused(wrong: object) -> None:
    with pytest.raises(ParameterError, match="retry_delay_seconds"):
        settle(wrong, 3)  # type: ignore[arg-type]
