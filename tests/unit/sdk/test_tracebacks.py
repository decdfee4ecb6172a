"""Tracebacks in the logs of runs."""

from __future__ import annotations

import pytest

from headway import flow, task
from headway.core.errors import ParameterError
from headway.sdk.effects import Call, drive
from headway.sdk.tracebacks import own_code


def broken() -> None:
    raise ValueError("the file is empty")


def outer() -> None:
    try:
        drive(_calling())
    except ValueError as error:
        raise KeyError("no rows") from error


def _calling():
    yield Call(broken, (), {}, None)


def caught(function) -> BaseException:
    with pytest.raises(Exception) as found:
        function()
    return found.value


def test_frames_of_the_engine_are_left_out_here_and_in_what_the_error_came_from() -> None:
    text = own_code(caught(outer))
    assert "in broken\n" in text
    assert "in outer\n" in text
    assert "in _calling\n" in text
    assert "effects.py" not in text
    assert text.splitlines()[-1] == "KeyError: 'no rows'"
    assert "ValueError: the file is empty" in text


def test_an_error_of_the_engine_itself_is_shown_whole() -> None:
    @task
    def add(n: int) -> int:
        return n

    @flow
    def adding(n: int) -> None:
        add(n)

    text = own_code(caught(lambda: adding("x")))
    assert "in caught\n" in text
    assert "sdk" in text
    assert ParameterError.__name__ in text or "Parameter" in text
