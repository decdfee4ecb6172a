"""Lists for people: a drawn table in a terminal, aligned columns anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

__all__ = ["ago", "block", "cell", "print_table", "when"]


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under their columns."""
    texts = [[cell(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        _draw(columns, texts)
        return
    widths = [max(len(line[i]) for line in [list(columns), *texts]) for i in range(len(columns))]
    for line in [list(columns), *texts]:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _draw(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(header_style="bold")
    for column in columns:
        # In a narrow terminal names stay whole, since commands take them; of ids the beginning is enough.
        table.add_column(column, no_wrap=column == "Name", overflow="ellipsis" if column == "Id" else "fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def cell(value: Any) -> str:
    """One value of a table or a block."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return when(value)
    if isinstance(value, list | tuple | set):
        return ", ".join(cell(item) for item in value) or "-"
    return str(value)


def block(*pairs: tuple[str, Any]) -> str:
    """Names and values, one per line; a value of None is left out."""
    return "\n".join(f"{name}: {cell(value)}" for name, value in pairs if value is not None)


def when(moment: datetime | None) -> str:
    """A time to the second, in UTC."""
    return "-" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """How long ago, or in how long, in the largest unit that says something."""
    if moment is None:
        return "-"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    size = abs(seconds)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if size >= length:
            amount = f"{int(size // length)} {unit}"
            break
    else:
        amount = f"{int(size)} s"
    return f"{amount} ago" if seconds >= 0 else f"in {amount}"
