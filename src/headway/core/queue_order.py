"""In which order the queues of a pool are served: smaller priorities first, no two queues share one.

A queue that is given a priority another one has takes its place, and the others move back only as far
as they must (what the reference does; CONTRACT §2.4). 0 is Headway's own: it comes before 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

__all__ = ["first_free", "place", "served_words"]

K = TypeVar("K")


def first_free(taken: Sequence[int]) -> int:
    """The priority of a queue that was given none: the smallest from 1 on that nobody has."""
    used = set(taken)
    return next(number for number in range(1, len(used) + 2) if number not in used)


def place(priorities: Mapping[K, int], queue: K, wanted: int) -> dict[K, int]:
    """The priorities of all queues once `queue` has the priority `wanted`."""
    others = sorted((key for key in priorities if key != queue), key=lambda key: priorities[key])
    position = next((i for i, key in enumerate(others) if priorities[key] >= wanted), len(others))
    order = [*others[:position], queue, *others[position:]]
    settled: dict[K, int] = {}
    last = -1
    for key in order:
        own = wanted if key == queue else priorities[key]
        last = own if own > last else last + 1
        settled[key] = last
    return settled


def served_words(priorities: Mapping[str, int], queue: str) -> str:
    """Which queues `queue` is served before and after, for people; `priorities` by name."""
    own = priorities[queue]
    order = sorted(priorities, key=lambda name: (priorities[name], name))
    after = [f"'{name}'" for name in order if priorities[name] < own]
    before = [f"'{name}'" for name in order if priorities[name] > own]
    alike = [f"'{name}'" for name in order if priorities[name] == own and name != queue]
    parts = [
        f"{relation} {_joined(names)}"
        for relation, names in (("after", after), ("together with", alike), ("before", before))
        if names
    ]
    if not parts:
        return f"Queue '{queue}' (priority {own}) is the only queue of its pool."
    return f"Queue '{queue}' (priority {own}) is served {_joined(parts, ', ')}."


def _joined(names: Sequence[str], comma: str = ", ") -> str:
    return names[0] if len(names) == 1 else f"{comma.join(names[:-1])} and {names[-1]}"
