"""The benchmark runs: one row, on a real server, with a client process and a table at the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)


def test_one_row_is_measured_and_judged_beside_the_durability_it_was_measured_with() -> None:
    done = _bench("lifecycle-8", "--db", "sqlite", "--quick", "--no-save")
    assert done.returncode == 0, done.stdout + done.stderr
    rate = next(line for line in done.stdout.splitlines() if line.startswith("lifecycle-8: run lifecycles"))
    assert "1.9" in rate
    assert "200 runs/s" in rate
    assert rate.endswith(("reached", "MISSED"))
    errors = next(line for line in done.stdout.splitlines() if line.startswith("lifecycle-8: errors"))
    assert errors.endswith("reached")
    assert '"synchronous": "FULL"' in done.stdout
    assert "×" not in done.stdout  # nothing to compare with in this run


def test_a_row_that_does_not_exist_is_one_line_with_those_that_do() -> None:
    done = _bench("lifecycles")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "lifecycle-8" in done.stderr
