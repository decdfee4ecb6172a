"""Every row of the table, in its order."""

from __future__ import annotations

from bench.rows import lifecycle, runs, tasks
from bench.rows.base import Row

ROWS: tuple[Row, ...] = (*lifecycle.ROWS, *tasks.ROWS, *runs.ROWS)
