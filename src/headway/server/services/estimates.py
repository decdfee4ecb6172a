"""How long a run has run and how late it is, as of now; seconds, as the reference estimates them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from headway.core.states import TERMINAL
from headway.store.protocols import Row

__all__ = ["estimates"]


def estimates(run: Row, now: datetime) -> dict[str, Any]:
    """`estimated_run_time` and `estimated_start_time_delta` of a flow run's or task run's row."""
    return {"estimated_run_time": _run_time(run, now), "estimated_start_time_delta": _lateness(run, now)}


def _run_time(run: Row, now: datetime) -> float:
    total: float = run["total_run_time"]
    if run["state_type"] != "RUNNING":
        return total
    running: float = (now - run["state_timestamp"]).total_seconds()
    return total + max(0.0, running)


def _lateness(run: Row, now: datetime) -> float:
    started, due = run["start_time"], run["expected_start_time"]
    if due is None:
        return 0.0
    if started is None and run["state_type"] not in TERMINAL:
        started = now
    lateness: float = 0.0 if started is None else (started - due).total_seconds()
    return max(0.0, lateness)
