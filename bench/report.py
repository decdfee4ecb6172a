"""The table: what the issue states, what was measured, and whether that is enough."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.rows.base import Line, Row

HEADS = ("row", "reference", "to reach", "hoped for")
PEER = "prefect"
OURS = "headway"


class NoSamples(Exception):
    """A ratio was asked for without raw samples of this run on both sides."""


@dataclass
class Results:
    """Raw samples of one run: (row, line key, target label) → one figure per round."""

    samples: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    failures: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """(row, target label) → why a round gave nothing."""

    others: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """(row, target label) → per cent of the machine that other programs used meanwhile, per round."""

    def add(self, row: str, label: str, figures: Mapping[str, float]) -> None:
        for key, value in figures.items():
            self.samples.setdefault((row, key, label), []).append(value)

    def fail(self, row: str, label: str, reason: str) -> None:
        self.failures.setdefault((row, label), []).append(reason)

    def of(self, row: str, key: str, label: str) -> list[float]:
        return self.samples.get((row, key, label), [])

    def labels(self) -> list[str]:
        """Targets that anything is known of, ours first."""
        known = {label for _, _, label in self.samples} | {label for _, label in self.failures}
        return sorted(known, key=lambda label: (not label.startswith(OURS), label != f"{OURS}-sqlite", label))

    def busiest(self) -> float:
        """The largest share of the machine, in per cent, that others used while a row was measured."""
        return max((share for shares in self.others.values() for share in shares), default=0.0)

    def median(self, row: str, key: str, label: str) -> float | None:
        values = self.of(row, key, label)
        return statistics.median(values) if values else None


def ratio(ours: Sequence[float], theirs: Sequence[float], better: str) -> float:
    """How many times better ours is, of medians of raw samples. NoSamples without samples on both sides."""
    if not ours or not theirs:
        raise NoSamples("a ratio needs raw samples of both systems from the same run")
    mine, other = statistics.median(ours), statistics.median(theirs)
    above, below = (other, mine) if better == "less" else (mine, other)
    return above / below if below else float("inf")


def verdict(line: Line, values: Iterable[float | None]) -> str:
    """reached if every database's median reaches the bound, missed if one does not, empty if nothing is judged."""
    judged = [line.reached(value) for value in values if value is not None]
    if line.reach is None or not judged:
        return ""
    return "reached" if all(judged) else "MISSED"


def table(rows: Iterable[Row], results: Results, labels: Sequence[str]) -> list[list[str]]:
    """Head and one list per line; columns: row, reference, to reach, hoped for, each label, (times), verdict."""
    peers = [label for label in labels if label.startswith(PEER)]
    head = [*HEADS, *labels, *(["times"] if peers else []), "verdict"]
    body = [head]
    for row in rows:
        for line in row.lines:
            medians = {label: results.median(row.name, line.key, label) for label in labels}
            if all(value is None for value in medians.values()) and not _failed(row, results, labels):
                continue
            ours = [value for label, value in medians.items() if label.startswith(OURS)]
            broke = any(
                medians[label] is None and (row.name, label) in results.failures
                for label in labels
                if label.startswith(OURS)
            )
            body.append(
                [
                    f"{row.name}: {line.title}",
                    line.reference,
                    shown(line.reach, line.unit),
                    shown(line.hoped, line.unit),
                    *(_cell(row, line, label, value, results) for label, value in medians.items()),
                    *([_times(row, line, results, labels)] if peers else []),
                    "MISSED" if line.reach is not None and broke else verdict(line, ours),
                ]
            )
    return body


def _failed(row: Row, results: Results, labels: Sequence[str]) -> bool:
    return any((row.name, label) in results.failures for label in labels)


def _cell(row: Row, line: Line, label: str, value: float | None, results: Results) -> str:
    if value is None:
        return "failed" if (row.name, label) in results.failures else ""
    return shown(value, line.unit)


def _times(row: Row, line: Line, results: Results, labels: Sequence[str]) -> str:
    """Ours against the reference, on each database that both were measured on."""
    told = []
    for label in labels:
        if not label.startswith(PEER):
            continue
        database = label.partition("-")[2]
        ours, theirs = results.of(row.name, line.key, f"{OURS}-{database}"), results.of(row.name, line.key, label)
        if ours and theirs:
            times = ratio(ours, theirs, line.better)
            told.append(f"{times:.3g}× ({database})" if math.isfinite(times) else f"the other has none ({database})")
    return ", ".join(told)


def shown(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    digits = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    return f"{digits} {unit}".rstrip()


def lay_out(lines: Sequence[Sequence[str]]) -> str:
    """As text with aligned columns."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
