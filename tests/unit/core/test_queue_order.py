"""The order in which a pool's queues are served."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.queue_order import first_free, place, served_words


@pytest.mark.parametrize(
    ("before", "queue", "wanted", "after"),
    [
        ({"default": 1}, "new", 1, {"new": 1, "default": 2}),
        ({"default": 1}, "new", 0, {"new": 0, "default": 1}),
        ({"default": 1, "b": 2, "c": 5}, "new", 2, {"default": 1, "new": 2, "b": 3, "c": 5}),
        ({"default": 1, "b": 2, "c": 3}, "c", 1, {"c": 1, "default": 2, "b": 3}),
        ({"default": 1, "b": 2}, "b", 9, {"default": 1, "b": 9}),
    ],
)
def test_a_taken_priority_moves_the_others_back_only_as_far_as_needed(before, queue, wanted, after) -> None:
    assert place(before, queue, wanted) == after


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 6)), st.sampled_from("abcz"), st.integers(0, 8))
def test_priorities_stay_unique_and_the_queue_gets_what_it_asked_for(before, queue, wanted) -> None:
    unique = {name: number for number, name in enumerate(sorted(before, key=lambda n: (before[n], n)))}
    after = place(unique, queue, wanted)
    assert after[queue] == wanted
    assert len(set(after.values())) == len(after)
    others = [name for name in sorted(unique, key=lambda n: unique[n]) if name != queue]
    assert others == [name for name in sorted(after, key=lambda n: after[n]) if name != queue]


@pytest.mark.parametrize(("taken", "expected"), [([], 1), ([1], 2), ([1, 3], 2), ([0], 1), ([2], 1)])
def test_a_queue_without_a_priority_takes_the_first_free_one(taken, expected) -> None:
    assert first_free(taken) == expected


def test_words_name_the_queues_before_and_after() -> None:
    priorities = {"default": 2, "fast": 1, "slow": 3, "night": 4}
    assert served_words(priorities, "default") == (
        "Queue 'default' (priority 2) is served after 'fast' and before 'slow' and 'night'."
    )
    assert served_words({"a": 1}, "a") == "Queue 'a' (priority 1) is the only queue of its pool."
    assert served_words({"a": 1, "b": 2}, "a") == "Queue 'a' (priority 1) is served before 'b'."
