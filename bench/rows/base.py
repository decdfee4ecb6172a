"""What a row is: lines of the table with their bounds, and a function that measures them once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.targets.base import Target

Samples = dict[str, float]
"""One round's figure per line key."""


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of the table.

    `reference` is what the issue states for Prefect 3.8.8, as text; `reach` and `hoped` are bounds in `unit`, None
    where there is none. `better` is "less" or "more". A line without `reach` is shown and never judged.
    """

    key: str
    title: str
    unit: str
    better: str = "less"
    reference: str = "–"
    reach: float | None = None
    hoped: float | None = None

    def reached(self, value: float) -> bool | None:
        if self.reach is None:
            return None
        return value <= self.reach if self.better == "less" else value >= self.reach


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything: `quick` runs show that it works and roughly where it stands."""

    quick: bool = False
    sizes: Mapping[str, int] = field(default_factory=dict)

    def of(self, full: float, quick: float) -> float:
        return quick if self.quick else full

    def count(self, full: int, quick: int) -> int:
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table. `measure` gets a target whose server runs on a database of its own, empty at first."""

    name: str
    lines: tuple[Line, ...]
    measure: Callable[[Target, Scale], Samples]
    databases: tuple[str, ...] = ("sqlite", "postgresql")
    peer_databases: tuple[str, ...] = ("sqlite",)
    """On which the reference is measured; () if it has nothing like it."""
    started: bool = True
    """Whether the server runs when `measure` is called."""


def lag_lines() -> tuple[Line, ...]:
    """Loop lag under the row's load. `held` is the part in which the loop's own thread computed: no request may hold
    it for more than 20 ms; the rest of the lag is the machine's."""
    return (
        Line("lag_p99_ms", "loop lag p99", "ms"),
        Line("lag_max_ms", "loop lag max", "ms"),
        Line("lag_held_max_ms", "loop held by our own thread, max", "ms", "less", "–", 20),
    )


def lag_samples(told: Mapping[str, float]) -> Samples:
    """Figures for `lag_lines` from what a target told."""
    return {f"lag_{name}": told[name] for name in ("p99_ms", "max_ms", "held_max_ms") if name in told}
