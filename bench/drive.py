"""Putting a load on a target: starts the client process and reads the server's side at the window's edges."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.targets.base import BenchError, Target

ROOT = Path(__file__).parent.parent
STALLED_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one load has shown: the client's figures and the server's side of the same window."""

    figures: dict[str, Any]
    server_cpu: float
    """Seconds."""
    database_cpu: float
    lag: dict[str, float]

    @property
    def units(self) -> int:
        return int(self.figures["units"])

    @property
    def rate(self) -> float:
        """Units per second."""
        return self.units / float(self.figures["seconds"])

    @property
    def errors(self) -> int:
        return sum(self.figures["errors"].values())

    def cpu_ms(self, per: int | None = None) -> float:
        """Server CPU per unit (or per `per`), in ms."""
        return 1000 * self.server_cpu / max(1, per or self.units)


def load(
    target: Target,
    script: str,
    arguments: Mapping[str, Any],
    *,
    connections: int = 1,
    seconds: float = 5.0,
    warm_up: float = 1.0,
    units: int | None = None,
) -> Loaded:
    """Run the client process against `target`; with `units`, `seconds` is the limit."""
    job = {
        "script": script,
        "arguments": dict(arguments),
        "url": target.url,
        "connections": connections,
        "seconds": seconds,
        "warm_up": warm_up,
        "units": units,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "bench.client"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(json.dumps(job))
        client.stdin.close()
        _expect(client.stdout.readline(), "begin")
        target.loop_lag(reset=True)
        server, database = target.server_cpu(), target.database_cpu()
        _expect(client.stdout.readline(), "end")
        server, database = target.server_cpu() - server, target.database_cpu() - database
        figures = json.loads(client.stdout.readline())
        client.wait(STALLED_SECONDS)
    if figures["errors"]:
        print(f"errors {figures['errors']} … ", end="", flush=True)
    return Loaded(figures, server, database, target.loop_lag(reset=False))


def _expect(line: str, at: str) -> None:
    if not line or json.loads(line).get("at") != at:
        raise BenchError(f"The load client ended early; see its traceback above (expected {at!r}, got {line!r}).")


def until(done: Any, seconds: float, what: str, pause: float = 0.02) -> float:
    """Seconds until `done()` is true; BenchError after `seconds`."""
    begun = time.perf_counter()
    while not done():
        if time.perf_counter() - begun > seconds:
            raise BenchError(f"{what}: not within {seconds:g} s")
        time.sleep(pause)
    return time.perf_counter() - begun
