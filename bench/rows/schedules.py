"""A thousand deployments with a cron each: making them, their next runs after a start, and the server at rest."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from bench.drive import load, until
from bench.rows.base import Line, Row, Samples, Scale, lag_lines, lag_samples
from bench.rows.starting import idle_cpu
from bench.rows.tasks import quiet_from
from bench.setup import POOL, flow, pool
from bench.targets.base import Target

DEPLOYMENTS = 1000
RUNS_EACH = 10  # in the hour that schedulers fill
SCHEDULER_OFF = {"headway": "HEADWAY_SERVER_LOOPS_SCHEDULER", "prefect": "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED"}


def _cron() -> str:
    """Every six minutes of the hour, the next time in five minutes: nothing comes due while we measure."""
    first = datetime.now(UTC).minute + 5
    minutes = sorted((first + 60 // RUNS_EACH * turn) % 60 for turn in range(RUNS_EACH))
    return f"{','.join(map(str, minutes))} * * * *"


def _create(target: Target, count: int) -> tuple[float, Samples]:
    pool(target)
    body: dict[str, Any] = {
        "flow_id": flow(target),
        "work_pool_name": POOL,
        "schedules": [{"schedule": {"cron": _cron(), "timezone": "UTC"}, "active": True}],
    }
    seen = load(target, "deploy", {"body": body}, units=count, seconds=600)
    return float(seen.figures["seconds"]), {**lag_samples(seen.lag), "errors": seen.errors}


def _schedules(target: Target, scale: Scale) -> Samples:
    count = scale.count(DEPLOYMENTS, 100)
    created, figures = _create(target, count)
    target.stop()
    target.clear()
    off = SCHEDULER_OFF[target.name]
    target.settings[off] = "false"  # while they are made again, so that all runs are missing at the next start
    target.start()
    _create(target, count)
    target.stop()
    del target.settings[off]
    begun = time.perf_counter()
    target.start()
    pause = 0.5 if target.name == "prefect" else 0.05
    wanted = count * RUNS_EACH
    until(lambda: target.api.post("/flow_runs/count") >= wanted, 600, f"{wanted} runs are scheduled", pause)
    inserted = time.perf_counter() - begun
    quiet_from(target)
    time.sleep(2)
    rest = idle_cpu(target, scale.of(20, 8))
    return {"create_s": created, "insert_s": inserted, "cpu_percent": rest, **figures}


ROWS = (
    Row(
        "schedules",
        (
            Line("create_s", "1,000 deployments with a cron, one by one", "s", "less", "75–118", 6, 3),
            Line("errors", "errors meanwhile", "", "less", "–", 0, 0),
            Line("insert_s", "their 10,000 next runs, from a server's start", "s", "less", "12", 3, 1),
            Line("cpu_percent", "server at rest with them, CPU", "%", "less", "86", 5),
            *lag_lines(),
        ),
        _schedules,
    ),
)
