"""Suggestions for names that do not exist."""

from __future__ import annotations

from headway.core.nearest import nearest, suggestion


def test_the_nearest_names_come_first_whatever_their_case() -> None:
    assert nearest("Proces-Pool", ["gpu", "process-pool", "process-pool-2"])[0] == "process-pool"


def test_a_suggestion_names_what_was_probably_meant() -> None:
    assert suggestion("defalt", ["default", "priority"]) == " Did you mean 'default'?"


def test_without_a_near_name_it_says_what_there_is() -> None:
    assert suggestion("zzz", ["b", "a"]) == " There are: a, b."
    assert suggestion("zzz", [f"pool-{n}" for n in range(8)]).endswith("and 3 more.")


def test_without_any_name_it_says_what_to_do() -> None:
    assert suggestion("x", [], "Create one first.") == " Create one first."
