"""Reading a long history, and finding work beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from bench.datasets import Content, provide
from bench.drive import Loaded, load
from bench.rows.base import Line, Row, Samples, Scale, lag_lines, lag_samples
from bench.rows.tasks import quiet_from
from bench.setup import POOL
from bench.targets.base import BenchError, Target

SMALL, MIDDLE, LARGE = 10_200, 100_000, 1_000_000  # the small one has a page behind offset 10,000
BODIES: dict[str, dict[str, Any]] = {
    "default": {},
    "nested": {
        "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}, "tags": {"all_": ["nightly"]}},
        "deployments": {"name": {"any_": ["deploy-7"]}},
        "sort": "EXPECTED_START_TIME_DESC",
        "limit": 200,
    },
    "offset": {"offset": 10_000, "limit": 200},
}


def _ask(target: Target, path: str, body: dict[str, Any], count: int) -> Loaded:
    load(target, "post", {"path": path, "body": body}, units=5, seconds=60)
    seen = load(target, "post", {"path": path, "body": body}, units=count, seconds=60)
    if seen.units < count:
        raise BenchError(f"{path} was answered {seen.units} times of {count}: {seen.figures['errors']}")
    return seen


def _filters(target: Target, scale: Scale) -> Samples:
    sizes = {"small": SMALL, "middle": MIDDLE}
    if target.name != "prefect":
        sizes["large"] = SMALL * 2 if scale.quick else LARGE
    count = 10 if target.name == "prefect" else scale.count(60, 20)
    found: Samples = {}
    for size, runs in sizes.items():
        target.stop()
        provide(target, Content(history=runs))
        target.start()
        for name, body in BODIES.items():
            seen = _ask(target, "/flow_runs/filter", body, count)
            found[f"{name}_{size}"] = seen.figures["unit_ms"]["p50"]
            found[f"{name}_{size}_p99"] = seen.figures["unit_ms"]["p99"]
            found[f"{name}_{size}_cpu"] = seen.cpu_ms()
            for key, value in lag_samples(seen.lag).items():
                found[key] = max(found.get(key, 0.0), value)
    if "large" in sizes:
        for name in BODIES:
            found[f"{name}_growth"] = found[f"{name}_large"] / found[f"{name}_small"]
        for name, body in {"paginate": {"limit": 200, "page": 1}, "count": {}}.items():
            found[name] = _ask(target, f"/flow_runs/{name}", body, count).figures["unit_ms"]["p50"]
    return found


def _scheduled(target: Target, scale: Scale) -> Samples:
    target.stop()
    provide(target, Content(history=scale.count(100_000, 10_200), waiting=1000))
    target.start()
    quiet_from(target)  # until everything overdue has been marked Late
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    body = {"work_queue_names": ["default"], "scheduled_before": soon, "limit": 200}
    seen = _ask(target, f"/work_pools/{POOL}/get_scheduled_flow_runs", body, scale.count(60, 20))
    spread = seen.figures["unit_ms"]
    return {"ms": spread["p50"], "p99_ms": spread["p99"], "cpu_ms": seen.cpu_ms(), **lag_samples(seen.lag)}


def _body_lines(name: str, what: str) -> tuple[Line, ...]:
    return (
        Line(f"{name}_middle", f"flow_runs/filter, {what}, 100,000 runs", "ms", "less", "54–186", 15, 8),
        Line(f"{name}_middle_p99", "p99", "ms"),
        Line(f"{name}_middle_cpu", "server CPU each", "ms"),
        Line(f"{name}_large", f"{what}, 1,000,000 runs", "ms"),
        Line(f"{name}_growth", f"{what}, at 1,000,000 : at 10,000", "×", "less", "–", 1.5),
    )


ROWS = (
    Row(
        "filter",
        (
            *_body_lines("default", "default"),
            *_body_lines("nested", "state, tag and deployment, newest first"),
            *_body_lines("offset", "offset 10,000"),
            Line("paginate", "flow_runs/paginate at 1,000,000", "ms", "less", "–", 30, 10),
            Line("count", "flow_runs/count at 1,000,000", "ms", "less", "–", 30, 10),
            *lag_lines(),
        ),
        _filters,
        started=False,
    ),
    Row(
        "scheduled",
        (
            Line("ms", "get_scheduled_flow_runs, 1,000 waiting, 100,000 in history", "ms", "less", "70–105", 8, 3),
            Line("p99_ms", "p99", "ms"),
            Line("cpu_ms", "server CPU each", "ms"),
            *lag_lines(),
        ),
        _scheduled,
        started=False,
    ),
)
