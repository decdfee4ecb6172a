"""Run lifecycles over HTTP: create from a deployment, PENDING, RUNNING, COMPLETED, as four single requests."""

from __future__ import annotations

from bench.drive import load
from bench.rows.base import Line, Row, Samples, Scale, lag_lines, lag_samples
from bench.setup import POOL, deployed
from bench.targets.base import BenchError, Target

BATCH = 50


def measure_with(connections: int, target: Target, scale: Scale) -> Samples:
    deployment = deployed(target)
    seen = load(
        target,
        "lifecycle",
        {"deployment_id": deployment},
        connections=connections,
        seconds=scale.of(10, 3),
        warm_up=scale.of(3, 1),
    )
    latency = seen.figures["latency_ms"]
    each = {"cpu_ms": seen.cpu_ms(), "database_cpu_ms": 1000 * seen.database_cpu / seen.units} if seen.units else {}
    return {
        "rate": seen.rate,
        "errors": seen.errors,
        "retries": seen.figures["retries"],
        **each,
        "p99_ms": latency.get("p99", float("inf")),
        "max_ms": latency.get("max", float("inf")),
        **lag_samples(seen.lag),
    }


def _row(connections: int, reference: str, reach: float) -> Row:
    lines = (
        Line("rate", f"run lifecycles, {connections} connections", "runs/s", "more", reference, reach, 1000),
        Line("errors", "errors", "", "less", "–", 0, 0),
        Line("retries", "503s retried", ""),
        Line("cpu_ms", "server CPU per lifecycle", "ms", "less", "66–116", 1.5, 0.7),
        Line("database_cpu_ms", "PostgreSQL CPU per lifecycle", "ms"),
        Line("p99_ms", "request latency p99", "ms"),
        Line("max_ms", "request latency max", "ms"),
        *lag_lines(),
    )

    def measure(target: Target, scale: Scale) -> Samples:
        return measure_with(connections, target, scale)

    return Row(f"lifecycle-{connections}", lines, measure, peer_databases=("sqlite", "postgresql"))


def _batched(target: Target, scale: Scale) -> Samples:
    deployment = deployed(target)
    made = target.api.post(f"/work_pools/{POOL}/workers", {"type": "process", "name": "batches"})
    seen = load(
        target,
        "batched",
        {"deployment_id": deployment, "pool": POOL, "worker_id": made["worker_id"], "size": BATCH},
        connections=4,
        seconds=scale.of(10, 3),
        warm_up=scale.of(3, 1),
    )
    if not seen.units:
        raise BenchError(f"No batch went through: {seen.figures['errors']}")
    return {
        "rate": seen.rate,
        "errors": seen.errors,
        "cpu_ms": seen.cpu_ms(),
        "database_cpu_ms": 1000 * seen.database_cpu / seen.units,
        **lag_samples(seen.lag),
    }


ROWS = (
    _row(8, "1.9 (PostgreSQL 10–13)", 200),
    _row(32, "did not finish (PostgreSQL 12)", 400),
    Row(
        "batched",
        (
            Line("rate", "lifecycles in batches: create, claim, report", "runs/s", "more", "–", 1200, 3000),
            Line("errors", "errors", "", "less", "–", 0, 0),
            Line("cpu_ms", "server CPU per lifecycle", "ms"),
            Line("database_cpu_ms", "PostgreSQL CPU per lifecycle", "ms"),
            *lag_lines(),
        ),
        _batched,
        peer_databases=(),
    ),
)
