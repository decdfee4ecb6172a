"""The evidence of a round, put in order: who lived when, what was done to whom, when nobody could be reached."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from chaos.evidence import Evidence, Line
from chaos.plan import Plan

__all__ = ["Life", "Story"]

Span = tuple[float, float]


@dataclass(slots=True)
class Life:
    """One process of a run. Times are seconds since the epoch; `last` is the last sign of life."""

    run: str
    attempt: int
    pid: int
    born: int
    worker: str
    start: float
    last: float
    acks: list[Line] = field(default_factory=list)
    how: str | None = None
    killed: float | None = None
    away: list[Span] = field(default_factory=list)
    """When it was frozen or cut off, until it could act again."""

    @property
    def owner(self) -> tuple[int, int]:
        return self.attempt, self.pid


class Story:
    """What everybody but Headway said."""

    def __init__(self, evidence: Evidence) -> None:
        self.plan: Plan = evidence.plan()
        self.marker = evidence.marker()
        self.accepted: dict[str, Line] = {}
        self.driven: set[str] = set()
        self.cancelled: set[str] = set()
        self.acks: list[tuple[str, str, str]] = []
        """(run, state, who was told) for every acknowledged state."""
        self.lives: dict[str, list[Life]] = defaultdict(list)
        self.faults = [line for line in evidence.lines("faults") if line["what"] == "fault"]
        outages = [line for line in evidence.lines("faults") if line["what"] == "outage"]
        self.outages: list[Span] = sorted((line["begin"], line["end"]) for line in outages)
        self.stuck = [line for line in evidence.lines("faults") if line["what"] == "stuck"]
        self._read_clients(evidence.lines("acks"))
        self._read_marks(evidence.lines("marks"))
        self._touch()

    def _read_clients(self, lines: list[Line]) -> None:
        for line in lines:
            if line["what"] in ("created", "driven"):
                self.accepted[line["run"]] = line
            if line["what"] == "driven":
                self.driven.add(line["run"])
            if line["what"] == "cancelled":
                self.cancelled.add(line["run"])
            if line["what"] in ("state", "cancelled"):
                self.acks.append((line["run"], line["state"], "a client"))

    def _read_marks(self, lines: list[Line]) -> None:
        found: dict[tuple[str, int], Life] = {}
        for line in lines:
            key = (line["run"], line["pid"])
            if line["what"] == "start":
                life = Life(line["run"], line["attempt"], line["pid"], line["born"], line["worker"] or "", line["time"],
                            line["time"])  # fmt: skip
                found[key] = life
                self.lives[life.run].append(life)
                continue
            life = found[key]
            life.last = max(life.last, line["time"])
            if line["what"] == "ack":
                life.acks.append(line)
                self.acks.append((life.run, line["state"], f"attempt {life.attempt}, pid {life.pid}"))
            elif line["what"] == "end":
                life.how = line["how"]
        for lives in self.lives.values():
            lives.sort(key=lambda life: (life.attempt, life.start))

    def _touch(self) -> None:
        for life in (life for lives in self.lives.values() for life in lives):
            for fault in self.faults:
                span = (fault["begin"], fault["end"])
                if life.start > span[1]:
                    continue
                killed = fault["kind"] in ("run-kill", "both-kill") and life.pid in fault["pids"]
                if killed and life.start <= span[0] and life.last <= span[0] + 1.0:  # a pid may come back
                    life.killed = span[0]
                frozen = fault["kind"] == "freeze" and life.pid in fault["pids"]
                if frozen or (fault["kind"] == "network-cut" and life.worker in fault["workers"]):
                    life.away.append(span)

    def reachable_from(self, moment: float, within: float, away: list[Span] | None = None) -> float:
        """`moment`, moved to the end of every absence that begins less than `within` after it."""
        for begin, end in sorted([*self.outages, *(away or [])]):
            if begin < moment + within and end > moment:
                moment = end
        return moment
