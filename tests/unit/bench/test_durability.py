"""Without commits on the disk there are no figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bench.run
import pytest
from bench.durability import NotDurable, demand
from bench.rows.base import Line, Row, Samples, Scale
from bench.run import Plan
from bench.targets.base import Target
from bench.targets.headway import HeadwayTarget

SQLITE = {"database": "sqlite", "synchronous": "FULL", "journal_mode": "wal"}
POSTGRESQL = {"database": "postgresql", "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


@pytest.mark.parametrize("told", [SQLITE, POSTGRESQL], ids=["sqlite", "postgresql"])
def test_durable_settings_pass(told: dict[str, str]) -> None:
    demand(told, "the server")


@pytest.mark.parametrize(
    "told",
    [
        {},
        {**SQLITE, "synchronous": "NORMAL"},
        {**SQLITE, "synchronous": "OFF"},
        {"database": "sqlite"},
        {**POSTGRESQL, "fsync": "off"},
        {**POSTGRESQL, "synchronous_commit": "off"},
        {**POSTGRESQL, "synchronous_commit": "local"},
        {**POSTGRESQL, "full_page_writes": "off"},
    ],
    ids=str,
)
def test_anything_else_is_refused(told: dict[str, str]) -> None:
    with pytest.raises(NotDurable):
        demand(told, "the server")


class Careless(HeadwayTarget):
    """A server that tells of commits that are not on the disk."""

    def start(self) -> float:
        self.server = object()  # type: ignore[assignment]
        return 0.0

    def stop(self) -> None:
        self.server = None

    def durability(self) -> dict[str, Any]:
        demand({**SQLITE, "synchronous": "NORMAL"}, "a careless server")
        return {}


def test_the_run_stops_before_it_measures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    measured: list[Target] = []

    def measure(target: Target, scale: Scale) -> Samples:
        measured.append(target)
        return {}

    monkeypatch.setattr(bench.run, "HeadwayTarget", Careless)
    monkeypatch.setattr(bench.run, "RESULTS", tmp_path)
    row = Row("any", (Line("rate", "anything", "runs/s"),), measure)
    with pytest.raises(NotDurable, match="synchronous = NORMAL"):
        bench.run.run(Plan(rows=[row]))
    assert not measured
    assert not list(tmp_path.iterdir())
