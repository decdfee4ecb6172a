"""Delays between tries: a number, a list, a function of the number of retries, or `exponential_backoff`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from headway.core.errors import ParameterError

__all__ = ["Delay", "delay_before", "exponential_backoff", "wants_retry", "wire_delay"]

Delay = float | int | Sequence[float] | Callable[[int], Any] | None
MOST_DELAYS = 50


def exponential_backoff(backoff_factor: float) -> Callable[[int], list[float]]:
    """Delays that double: factor, 2 x factor, 4 x factor, … seconds."""

    def delays(retries: int) -> list[float]:
        return [backoff_factor * max(0, 2**number) for number in range(retries)]

    return delays


def settle(delay: Delay, retries: int) -> float | list[float]:
    """A delay as a number or a list, from what the decorator was given. Raises ParameterError."""
    if delay is None:
        return 0.0
    if callable(delay):
        return settle(delay(retries), retries)
    if isinstance(delay, int | float):
        return float(_not_negative(delay))
    delays = [float(_not_negative(item)) for item in delay]
    if len(delays) > MOST_DELAYS:
        raise ParameterError(f"retry_delay_seconds has {len(delays)} delays; at most {MOST_DELAYS} are allowed.")
    return delays


def _not_negative(delay: float) -> float:
    if not isinstance(delay, int | float) or delay < 0:
        raise ParameterError(f"retry_delay_seconds must be seconds of at least 0, not {delay!r}.")
    return delay


def delay_before(delay: float | list[float], retry: int, jitter: float | None) -> float:
    """Seconds before the retry number `retry` (1, 2, …). A list's last delay serves all further retries.

    `jitter` 0.5 spreads a delay of 10 s over 10 s to 15 s, at random.
    """
    if isinstance(delay, list):
        base = delay[min(retry, len(delay)) - 1] if delay else 0.0
    else:
        base = delay
    if not jitter:
        return base
    import random  # only jitter needs it

    return base * (1.0 + random.uniform(0.0, jitter))


def wire_delay(delay: float | list[float]) -> Any:
    """A delay as the reference's task policies have it: whole numbers stay whole."""
    if isinstance(delay, list):
        return [wire_delay(item) for item in delay]
    return int(delay) if delay == int(delay) else delay


def wants_retry(condition: Callable[..., Any] | None, owner: Any, run: Any, state: Any) -> Any:
    """Whether a retry condition agrees; an async condition's coroutine is returned for the engine to await."""
    if condition is None:
        return True
    import inspect  # only a condition needs it

    answer = condition(owner, run, state)
    return answer if inspect.isawaitable(answer) else bool(answer)
