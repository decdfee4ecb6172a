"""Every row of the table, in its order."""

from __future__ import annotations

from bench.rows import kills, lifecycle, reads, runs, starting, tasks
from bench.rows.base import Row

ROWS: tuple[Row, ...] = (*lifecycle.ROWS, *tasks.ROWS, *runs.ROWS, *reads.ROWS, *starting.ROWS, *kills.ROWS)
