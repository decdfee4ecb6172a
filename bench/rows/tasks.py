"""Recording task runs: a flow of 1,000 trivial tasks run by a script, and what that costs the server."""

from __future__ import annotations

import statistics
import time
from typing import Any

from bench import flows
from bench.drive import until
from bench.guest import Guest
from bench.rows.base import Line, Row, Samples, Scale, lag_lines, lag_samples
from bench.targets.base import Target

PAGE = 200
QUIET_SECONDS = 0.1
LONGEST = 180.0
QUIET_CPU = 0.011  # one tick of the clock that /proc counts in


def completed(target: Target, run: str) -> int:
    """How many task runs of this flow run read COMPLETED."""
    wanted: dict[str, Any] = {
        "flow_runs": {"id": {"any_": [run]}},
        "task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
        "limit": PAGE,
    }
    found = 0
    while True:
        page = target.api.post("/task_runs/filter", {**wanted, "offset": found})
        found += len(page)
        if len(page) < PAGE:
            return found


def quiet_from(target: Target) -> float:
    """When (time.time) the first stretch of QUIET_SECONDS began in which server and database were at rest.

    The last moment that was looked at, if there is none within LONGEST seconds."""
    last = time.time() + LONGEST
    while True:
        begun, cpu = time.time(), target.server_cpu() + target.database_cpu()
        time.sleep(QUIET_SECONDS)
        if target.server_cpu() + target.database_cpu() - cpu <= QUIET_CPU or begun > last:
            return begun


def _recorded(target: Target, run: str, count: int, quiet: float) -> float:
    """When all tasks read COMPLETED and the server was quiet; `quiet` is when it was, if they do so at once."""
    if completed(target, run) >= count:
        return quiet
    pause = 1.0 if target.name == "prefect" else 0.02
    until(lambda: completed(target, run) >= count, 300, f"{count} tasks read COMPLETED", pause)
    return time.time()


def _thousand(target: Target, scale: Scale) -> Samples:
    flows.write(target)
    count = 1000
    rates, busy, cpu, script = [], [], [], []
    with Guest(target, target.home / "project" / "tasks.py") as guest:
        guest.tell("10")
        guest.figures()
        target.loop_lag(reset=True)
        for _ in range(1 if target.name == "prefect" else scale.count(3, 1)):
            quiet_from(target)
            before = target.server_cpu()
            guest.tell(str(count))
            told = guest.figures()
            busy_until = quiet_from(target)  # before asking, so that questions are not counted as its work
            cpu.append(target.server_cpu() - before)
            script.append(told["cpu"])
            rates.append(count / (told["ended"] - told["begun"]))
            busy.append(max(0.0, _recorded(target, told["run"], count, busy_until) - told["ended"]))
    lag = target.loop_lag(reset=False)
    return {
        "rate": statistics.median(rates),
        "busy_seconds": statistics.median(busy),
        "cpu_ms": 1000 * statistics.median(cpu) / count,
        "script_cpu_ms": 1000 * statistics.median(script) / count,
        **lag_samples(lag),
    }


def _loops(target: Target, scale: Scale) -> Samples:
    flows.write(target)
    with Guest(target, target.home / "project" / "loops.py", str(scale.of(4, 1.5)), "300") as guest:
        told = guest.figures()
    return {
        "async_ms": told["async"][0],
        "async_cpu_ms": told["async"][1],
        "sync_ms": told["sync"][0],
        "sync_cpu_ms": told["sync"][1],
    }


ROWS = (
    Row(
        "tasks",
        (
            Line("cpu_ms", "task runs recorded: server CPU each", "ms", "less", "22–29", 0.25, 0.1),
            Line("rate", "a flow of 1,000 trivial tasks, recorded", "tasks/s", "more", "160–237", 4000, 10_000),
            Line("script_cpu_ms", "the script's CPU per task", "ms"),
            Line("busy_seconds", "server still busy afterwards", "s", "less", "20–30", 0.5),
            *lag_lines(),
        ),
        _thousand,
        peer_databases=("sqlite",),
    ),
    Row(
        "empty-flow",
        (
            Line("async_ms", "an empty async flow called in a loop", "ms", "less", "148–173", 10, 5),
            Line("async_cpu_ms", "the script's CPU per call", "ms"),
            Line("sync_ms", "an empty sync flow called in a loop", "ms", "less", "1,100", 10, 5),
            Line("sync_cpu_ms", "the script's CPU per call", "ms"),
        ),
        _loops,
    ),
)
