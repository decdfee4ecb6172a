"""What a load would do, without doing it: a sample, the types, the rows that would be rejected. Nothing is written."""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from autoloader import lake
from autoloader.convert import Plan, Reject, batches, plan
from autoloader.errors import NotLoadable
from autoloader.lake import Target
from autoloader.load import Source, Waiting, waiting

FILES, SAMPLE, REJECTS, BATCHES = 3, 5, 20, 25
"""At most so many files, rows shown, rejects shown, and batches (of 4 MiB) read of each file."""


@dataclass(frozen=True, slots=True)
class FilePreview:
    """One file. `rows` and `rejected` count what was looked at; `complete` says whether that was all of it."""

    path: str
    size: int
    schema: dict[str, str] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    sample: list[dict[str, Any]] = field(default_factory=list)
    rows: int = 0
    rejected: int = 0
    rejects: list[Reject] = field(default_factory=list)
    complete: bool = True
    would_be_set_aside: str | None = None


def preview(source: Source, target: Target) -> list[FilePreview]:
    """Look at the first three files that are waiting."""
    table, _ = lake.look(target)
    types = lake.column_types(table) if table is not None else None
    return [_preview(found, source, types) for found in waiting(source, target)[:FILES]]


def as_lines(previews: list[FilePreview]) -> list[str]:
    """The same for a person."""
    if not previews:
        return ["nothing is waiting"]
    return [line for previewed in previews for line in _lines(previewed)]


def _preview(found: Waiting, source: Source, types: dict[str, str] | None) -> FilePreview:
    path = str(found.path)
    try:
        layout = plan(found.path, source.dialect, types, source.types)
        return _looked_at(found, layout, source, types)
    except NotLoadable as reason:
        return FilePreview(path, found.size, would_be_set_aside=str(reason))


def _looked_at(found: Waiting, layout: Plan, source: Source, types: dict[str, str] | None) -> FilePreview:
    stream = batches(found.path, layout, source.dialect)
    sample: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    rows = rejected = 0
    for batch in islice(stream, BATCHES):
        sample += batch.fitting.slice(0, SAMPLE - len(sample)).to_pylist()
        rejects += batch.rejects[: REJECTS - len(rejects)]
        rows += batch.fitting.num_rows
        rejected += len(batch.rejects)
    return FilePreview(
        path=str(found.path),
        size=found.size,
        schema=dict(layout.columns),
        added=[column for column in layout.columns if types is not None and column not in types],
        sample=sample,
        rows=rows,
        rejected=rejected,
        rejects=rejects,
        complete=next(stream, None) is None,
    )


def _lines(previewed: FilePreview) -> list[str]:
    if previewed.would_be_set_aside:
        return [f"{previewed.path}: would be set aside: {previewed.would_be_set_aside}"]
    looked = "all of it" if previewed.complete else "its beginning"
    return [
        f"{previewed.path} ({looked}): {previewed.rows:,} rows, {previewed.rejected:,} would be rejected",
        "  columns: " + ", ".join(f"{name} {kind}" for name, kind in previewed.schema.items()),
        *([f"  new in the table: {', '.join(previewed.added)}"] if previewed.added else []),
        *(f"  sample: {', '.join(map(_shown, row.values()))}" for row in previewed.sample),
        *(f"  would reject row {reject.row}: {reject.reason}" for reject in previewed.rejects),
    ]


def _shown(value: object) -> str:
    return "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)
