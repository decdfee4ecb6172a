"""The quick `replace`: the same as the standard library's."""

from __future__ import annotations

import dataclasses

import pytest

from headway.core import states
from headway.core.copying import replace
from headway.core.ids import new_id
from headway.core.rules.facts import Run


def test_a_copy_differs_in_what_was_changed_and_nothing_else() -> None:
    run = Run(new_id(), states.Running(), run_count=1)
    changed = replace(run, run_count=2, end_time=None)
    assert changed == dataclasses.replace(run, run_count=2, end_time=None)
    assert run.run_count == 1
    assert replace(run) == run


def test_a_copy_is_as_frozen_as_its_original() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        replace(states.Running(), message="on its way").message = "changed"  # type: ignore[misc]


def test_a_name_that_is_no_field_is_refused() -> None:
    with pytest.raises(TypeError, match="State has no field 'massage'"):
        replace(states.Running(), massage="oops")
