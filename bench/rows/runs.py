"""What people wait for with a process worker: one run, fifty at once, a run with forty tasks."""

from __future__ import annotations

import random
import statistics
import threading
import time
from datetime import datetime
from typing import Any

from bench import flows, processes
from bench.drive import load, until
from bench.load import spread
from bench.rows.base import Line, Row, Samples, Scale, lag_lines, lag_samples
from bench.setup import POOL, deployed
from bench.targets.base import BenchError, Target

FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
RUN_SECONDS = 300.0


def moment(text: str) -> float:
    """A wire time as seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


def run_once(target: Target, deployment: str) -> tuple[float, dict[str, Any]]:
    """Trigger a run and wait until it has completed: when it was triggered, and the run."""
    triggered = time.time()
    run = target.api.post(f"/deployments/{deployment}/create_flow_run")["id"]
    ended: dict[str, Any] = {}

    def has_ended() -> bool:
        ended.update(target.api.get(f"/flow_runs/{run}"))
        return ended["state_type"] in FINAL

    until(has_ended, RUN_SECONDS, f"run {run} ends", pause=0.01)
    if ended["state_type"] != "COMPLETED":
        raise BenchError(f"A run ended as {ended['state_type']}: {ended['state'].get('message')}")
    return triggered, ended


def _trigger(target: Target, scale: Scale) -> Samples:
    deployment = deployed(target, flow_name="empty", script=flows.write(target))
    worker = target.worker(POOL)
    count = 10 if target.name == "prefect" else scale.count(60, 15)
    chance = random.Random(8)
    for _ in range(3):
        run_once(target, deployment)
    target.loop_lag(reset=True)
    waits = []
    server, work = target.server_cpu(), processes.cpu_seconds(worker.pid)
    for _ in range(count):
        time.sleep(chance.uniform(0, 0.2))  # at any moment of whatever the worker does periodically
        triggered, run = run_once(target, deployment)
        waits.append(moment(run["start_time"]) - triggered)
    found = spread(waits)
    return {
        "p50_ms": found["p50"],
        "p99_ms": found["p99"],
        "server_cpu_ms": 1000 * (target.server_cpu() - server) / count,
        "worker_cpu_ms": 1000 * (processes.cpu_seconds(worker.pid) - work) / count,
        **lag_samples(target.loop_lag(reset=False)),
    }


class Memory:
    """Watches the memory (PSS) of a worker's processes beside the worker itself, until asked for its peak."""

    def __init__(self, target: Target, worker: int) -> None:
        self._target = target
        self._worker = worker
        self._stop = threading.Event()
        self._peak = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.15):
            others = {self._worker, *processes.tree(self._target.server_pid)}
            children = [pid for pid in processes.having(str(self._target.home)) if pid not in others]
            self._peak = max(self._peak, processes.pss_mb(children))

    def peak(self) -> float:
        """MB."""
        self._stop.set()
        self._thread.join()
        return self._peak


def _fifty(target: Target, scale: Scale) -> Samples:
    deployment = deployed(target, flow_name="empty", script=flows.write(target))
    worker = target.worker(POOL, "--limit", "10")
    run_once(target, deployment)
    wanted = {"flow_runs": {"state": {"type": {"any_": list(FINAL)}}}}
    target.loop_lag(reset=True)
    memory = Memory(target, worker.pid)
    cpu = target.server_cpu() + processes.cpu_seconds(worker.pid)
    begun = time.perf_counter()
    path = f"/deployments/{deployment}/create_flow_run"
    load(target, "post", {"path": path, "body": {}, "status": 201}, connections=10, units=50, seconds=60)
    pause = 0.5 if target.name == "prefect" else 0.02
    until(lambda: target.api.post("/flow_runs/count", wanted) >= 51, 1800, "50 runs end", pause)
    seconds, lag = time.perf_counter() - begun, target.loop_lag(reset=False)
    cpu = target.server_cpu() + processes.cpu_seconds(worker.pid) - cpu
    wanted["flow_runs"]["state"]["type"]["any_"] = ["COMPLETED"]
    completed = target.api.post("/flow_runs/count", wanted) - 1
    return {"seconds": seconds, "memory_mb": memory.peak(), "cpu_s": cpu, "failed": 50 - completed, **lag_samples(lag)}


def _forty_tasks(target: Target, scale: Scale) -> Samples:
    deployment = deployed(target, flow_name="forty", script=flows.write(target))
    target.worker(POOL)
    run_once(target, deployment)
    took = []
    for _ in range(scale.count(7, 3)):
        triggered, run = run_once(target, deployment)
        took.append(moment(run["end_time"]) - triggered)
    return {"seconds": statistics.median(took)}


ROWS = (
    Row(
        "trigger",
        (
            Line("p50_ms", "trigger → Running, idle process worker, p50", "ms", "less", "6,000–11,000", 60, 30),
            Line("p99_ms", "the same, p99", "ms", "less", "–", 300),
            Line("server_cpu_ms", "server CPU per run, with our looking on", "ms"),
            Line("worker_cpu_ms", "CPU per run of the worker and what it has ended", "ms"),
            *lag_lines(),
        ),
        _trigger,
    ),
    Row(
        "fifty",
        (
            Line("seconds", "50 empty runs at once, --limit 10", "s", "less", "130–164", 3, 1),
            Line("cpu_s", "CPU of server, worker and what it has ended", "s"),
            Line("memory_mb", "memory of the worker's children, peak PSS", "MB", "less", "800", 300),
            Line("failed", "of them not Completed", "", "less", "–", 0, 0),
            *lag_lines(),
        ),
        _fifty,
    ),
    Row(
        "fibonacci",
        (Line("seconds", "40 tasks of fibonacci(10), trigger → Completed", "s", "less", "6.3", 0.4, 0.2),),
        _forty_tasks,
    ),
)
