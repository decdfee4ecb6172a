"""Claiming: what 10,000 runs that wait behind one full deployment cost the others."""

from __future__ import annotations

from bench.datasets import FULL, Content, provide
from bench.drive import Loaded, load
from bench.rows.base import Line, Row, Samples, Scale, lag_lines, lag_samples
from bench.rows.tasks import quiet_from
from bench.setup import POOL
from bench.targets.base import BenchError, Target

WAITING, BEHIND = 2000, 10_000


def _claims(target: Target, content: Content, count: int) -> Loaded:
    target.stop()
    provide(target, content)
    target.start()
    quiet_from(target)  # until everything overdue has been marked Late
    name = f"claimer-{content.behind_full}"
    worker = target.api.post(f"/work_pools/{POOL}/workers", {"type": "process", "name": name})["worker_id"]
    if content.behind_full:
        _occupy(target)  # now, because its lease is not renewed
    seen = load(target, "claim", {"pool": POOL, "worker_id": worker}, units=count, seconds=60)
    if seen.errors:
        raise BenchError(f"Claims failed: {seen.figures['errors']}")
    return seen


def _occupy(target: Target) -> None:
    """Let a run of the full deployment hold its one slot."""
    found = target.api.post("/deployments/filter", {"deployments": {"name": {"any_": [FULL]}}})
    run = target.api.post(f"/deployments/{found[0]['id']}/create_flow_run")["id"]
    for state in ("PENDING", "RUNNING"):
        answer = target.api.post(f"/flow_runs/{run}/set_state", {"state": {"type": state}})
        if answer["status"] != "ACCEPT":
            raise BenchError(f"The deployment could not be filled: {answer}")


def _measure(target: Target, scale: Scale) -> Samples:
    count = scale.count(400, 100)
    alone = _claims(target, Content(waiting=WAITING), count)
    target.stop()
    target.clear()
    beside = _claims(target, Content(waiting=WAITING, behind_full=scale.count(BEHIND, 1000)), count)
    before, after = alone.figures["unit_ms"], beside.figures["unit_ms"]
    return {
        "alone_ms": before["p99"],
        "beside_ms": after["p99"],
        "growth": after["p50"] / before["p50"],
        "cpu_ms": beside.cpu_ms(),
        **lag_samples(beside.lag),
    }


ROWS = (
    Row(
        "claim",
        (
            Line("alone_ms", "claim of one run, p99", "ms"),
            Line("beside_ms", "the same with 10,000 waiting behind one full deployment, p99", "ms"),
            Line("growth", "with them : without them, p50", "×", "less", "–", 1.5, 1.1),
            Line("cpu_ms", "server CPU per claim", "ms"),
            *lag_lines(),
        ),
        _measure,
        peer_databases=(),
        started=False,
    ),
)
