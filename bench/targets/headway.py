"""Headway, from this checkout or another one, with the settings it ships with."""

from __future__ import annotations

import platform
import sqlite3
import sys
from pathlib import Path
from typing import Any

from bench.targets.base import BenchError, Target
from headway.version import __version__


class HeadwayTarget(Target):
    """On SQLite in its home folder, or on a PostgreSQL database that is given."""

    name = "headway"
    package = "headway"
    prefix = "HEADWAY_"
    worker_ready = r"registered with id"

    source: Path | None = None
    """Another checkout whose `src` is measured; the benchmark itself stays this one."""

    def env(self) -> dict[str, str]:
        elsewhere = {} if self.source is None else {"PYTHONPATH": str(self.source / "src")}
        return {**super().env(), **elsewhere}

    @property
    def python(self) -> Path:
        return Path(sys.executable)

    def command(self, *arguments: str) -> list[str]:
        return [str(self.python.with_name("headway")), *arguments]

    def server_settings(self) -> dict[str, str]:
        return {"HEADWAY_HOME": str(self.home)}

    def versions(self) -> dict[str, str]:
        return {"headway": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}

    def durability(self) -> dict[str, Any]:
        try:
            told: dict[str, Any] = self.api.get("/admin/durability")
        except BenchError:
            return {}
        return told

    def loop_lag(self, *, reset: bool) -> dict[str, float]:
        try:
            told: dict[str, float] = self.api.get(f"/admin/loop-lag?reset={str(reset).lower()}")
        except BenchError:
            return {}
        return told
