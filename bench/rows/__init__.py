"""Every row of the table, in its order."""

from __future__ import annotations

from bench.rows import claims, kills, lifecycle, reads, runs, schedules, starting, tasks
from bench.rows.base import Row

ROWS: tuple[Row, ...] = (
    *lifecycle.ROWS,
    *tasks.ROWS,
    *runs.ROWS,
    *schedules.ROWS,
    *reads.ROWS,
    *claims.ROWS,
    *starting.ROWS,
    *kills.ROWS,
)
