"""Kill -9: how long until what the API says is true again, and whether the run is tried again as its policy says."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

from bench import flows, processes
from bench.drive import until
from bench.rows.base import Line, Row, Samples, Scale
from bench.rows.runs import run_once
from bench.setup import POOL, deployed
from bench.targets.base import BenchError, Target

LONGEST = 90.0


def _start_mortal(target: Target, deployment: str, folder: Path) -> tuple[str, int]:
    """A run that stays until it is killed: its id and the pid of its process."""
    folder.mkdir(exist_ok=True)
    made = target.api.post(f"/deployments/{deployment}/create_flow_run", {"parameters": {"folder": str(folder)}})
    mark = folder / "pid"
    until(mark.exists, 60, "the run begins")
    until(lambda: _state(target, made["id"]) == "RUNNING", 30, "the run is RUNNING")
    return made["id"], int(mark.read_text())


def _state(target: Target, run: str) -> str:
    return str(target.api.get(f"/flow_runs/{run}")["state_type"])


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _truthful(target: Target, run: str) -> float:
    """Seconds until the run does not read RUNNING any more; LONGEST if it does not come to that."""
    begun = time.perf_counter()
    with contextlib.suppress(BenchError):
        until(lambda: _state(target, run) != "RUNNING", LONGEST, "the state is true", pause=0.01)
    return time.perf_counter() - begun


def _retried(target: Target, run: str) -> float:
    """1.0 if the run completes in another try."""
    try:
        until(lambda: _state(target, run) in ("COMPLETED", "CRASHED", "FAILED"), LONGEST, "the run ends")
    except BenchError:
        return 0.0
    return float(_state(target, run) == "COMPLETED")


def _kills(target: Target, scale: Scale) -> Samples:
    script = flows.write(target)
    policy: dict[str, Any] = {"retries": 1} if target.name == "headway" else {}  # the reference's deployments have none
    deployment = deployed(target, flow_name="mortal", script=script, **policy)
    warm = deployed(target, "warm", flow_name="empty", script=script)
    worker = target.worker(POOL)
    run_once(target, warm)
    run, pid = _start_mortal(target, deployment, target.home / "first")
    _kill([pid])
    found = {"run_s": _truthful(target, run), "run_retried": _retried(target, run)}
    run, pid = _start_mortal(target, deployment, target.home / "second")
    server = set(processes.tree(target.server_pid))
    _kill([worker.pid, *(other for other in processes.having(str(target.home)) if other not in server)])
    found["both_s"] = _truthful(target, run)
    target.worker(POOL)
    return {**found, "both_retried": _retried(target, run)}


ROWS = (
    Row(
        "kills",
        (
            Line("run_s", "run process killed: truthful state after", "s", "less", "0.1", 1, 1),
            Line("run_retried", "retried by policy", "", "more", "never", 1),
            Line("both_s", "worker and run killed: truthful state after", "s", "less", "still Running at 245", 30, 15),
            Line("both_retried", "retried by policy", "", "more", "never", 1),
        ),
        _kills,
    ),
)
