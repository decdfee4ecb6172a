"""One CSV file becomes one Parquet file and one file of rejects: streamed, typed, and a pure function of its bytes.

Files are written under a temporary name, synced, and then linked to a name made from the identity and the column
types. A name is taken once: who comes second finds the same rows there already and uses them.
"""

import csv
import hashlib
import io
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from autoloader import columns
from autoloader.columns import SOURCE_HASH, SOURCE_PATH, SOURCE_ROW
from autoloader.errors import NotLoadable
from autoloader.identity import Identity
from autoloader.source import Dialect, Misfit, Rows, header, rows

SAMPLE_ROWS = 10_000
LONGEST_LINE = 2_000
PARTIAL, STALE_SECONDS = ".partial", 24 * 3600.0
ROW, FILE = "row", "file"
REJECT_COLUMNS: Mapping[str, str] = {
    **columns.IDENTITY_COLUMNS,
    "kind": "string",
    "reason": "string",
    "line": "string",
}


@dataclass(frozen=True, slots=True)
class Reject:
    """A row, or with `row` None a whole file, that was not loaded, and why."""

    row: int | None
    reason: str
    line: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The columns of one file and the type each is loaded as."""

    columns: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(repr(sorted(self.columns.items())).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that fit, typed, with their numbers, and the rejects met on the way."""

    fitting: pa.RecordBatch
    numbers: pa.Array
    rejects: list[Reject]


@dataclass(frozen=True, slots=True)
class Converted:
    """What one file became; a path is None where there is nothing to write."""

    data: Path | None
    rejects: Path | None
    rows: int
    rejected: int


def plan(
    path: Path,
    dialect: Dialect,
    table_types: Mapping[str, str] | None,
    declared: Mapping[str, str],
) -> Plan:
    """Types of a file's columns: the table's, else the declared, else inferred from the first 10,000 rows.

    Raises:
        NotLoadable: not one column is in the (existing) table, or the header or the content cannot be read.
    """
    names = header(path, dialect)
    given = {**declared, **(table_types or {})}
    if table_types and not any(name in table_types for name in names):
        raise NotLoadable(
            f"none of its columns ({', '.join(names[:5])}) is in the table; another delimiter, or another kind of file?"
        )
    unknown = [name for name in names if name not in given]
    inferred = _inferred(path, dialect, unknown) if unknown else {}
    return Plan({name: given.get(name) or inferred[name] for name in names})


def batches(path: Path, layout: Plan, dialect: Dialect, content_hash: str | None = None) -> Iterator[Batch]:
    """Stream the file as typed batches; the last one may hold rejects only."""
    misfits: list[Misfit] = []
    for read in rows(path, dialect, misfits, content_hash):
        yield _typed(read, layout, dialect, _drained(misfits))
    if misfits:
        empty = pa.record_batch({name: pa.array([], columns.ARROW[kind]) for name, kind in layout.columns.items()})
        yield Batch(empty, pa.array([], pa.int64()), _drained(misfits))


def convert(path: Path, identity: Identity, layout: Plan, dialect: Dialect, folders: tuple[Path, Path]) -> Converted:
    """Write the file's rows and its rejects to Parquet in (data folder, rejects folder).

    Raises:
        NotLoadable, ChangedWhileRead: nothing is left behind under a final name then.
    """
    name = f"{identity.name}-{layout.fingerprint}.parquet"
    data, refused = (_Output(folder / name, identity) for folder in folders)
    try:
        for batch in batches(path, layout, dialect, identity.content_hash):
            data.write(batch.fitting, batch.numbers)
            refused.reject(batch.rejects)
        if not data.rows:
            refused.reject([Reject(None, "no row of it could be loaded" if refused.rows else "it has no rows")])
        return Converted(data.publish(), refused.publish(), data.rows, refused.rows)
    finally:
        data.discard()
        refused.discard()


def set_aside(identity: Identity, reason: str, folder: Path) -> Path:
    """Write the one row that says why a whole file is not loaded."""
    output = _Output(folder / f"{identity.name}-aside.parquet", identity)
    try:
        output.reject([Reject(None, reason)])
        published = output.publish()
    finally:
        output.discard()
    assert published is not None
    return published


def sweep(folder: Path, older_than: float = STALE_SECONDS) -> int:
    """Remove what loaders that were killed left half-written so many seconds ago; returns how many files."""
    stale = [path for path in folder.glob(f".*{PARTIAL}") if time.time() - path.stat().st_mtime > older_than]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


@dataclass(slots=True)
class _Output:
    """A Parquet file that appears under its name only when it is whole, and only if it has rows."""

    final: Path
    identity: Identity
    rows: int = 0
    _writer: pq.ParquetWriter | None = None
    _temporary: Path = field(init=False)

    def __post_init__(self) -> None:
        self._temporary = self.final.with_name(f".{self.final.stem}-{uuid.uuid4().hex}{PARTIAL}")

    def write(self, batch: pa.RecordBatch, numbers: pa.Array) -> None:
        if not batch.num_rows:
            return
        whole = {SOURCE_PATH: self.identity.path, SOURCE_HASH: self.identity.content_hash}
        arrays = [*batch.columns, *(_repeated(value, batch.num_rows) for value in whole.values()), numbers]
        names = [*batch.schema.names, *whole, SOURCE_ROW]
        self._append(pa.record_batch(arrays, names=names))

    def reject(self, rejects: list[Reject]) -> None:
        if not rejects:
            return
        count = len(rejects)
        arrays = [
            _repeated(self.identity.path, count),
            _repeated(self.identity.content_hash, count),
            pa.array([reject.row for reject in rejects], pa.int64()),
            pa.array([FILE if reject.row is None else ROW for reject in rejects], pa.string()),
            pa.array([reject.reason for reject in rejects], pa.string()),
            pa.array([reject.line and reject.line[:LONGEST_LINE] for reject in rejects], pa.string()),
        ]
        self._append(pa.record_batch(arrays, names=list(REJECT_COLUMNS)))

    def publish(self) -> Path | None:
        if self._writer is None:
            return None
        self._writer.close()
        with self._temporary.open("rb+") as file:
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another attempt, or another loader, wrote the same rows
            os.link(self._temporary, self.final)
        return self.final

    def discard(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._temporary.unlink(missing_ok=True)

    def _append(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            self.final.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._temporary, batch.schema, compression="zstd")
        self._writer.write_batch(batch)
        self.rows += batch.num_rows


def _typed(read: Rows, layout: Plan, dialect: Dialect, rejects: list[Reject]) -> Batch:
    typed: dict[str, pa.Array] = {}
    masks: dict[str, pa.Array] = {}
    bad = pa.repeat(pa.scalar(False), read.batch.num_rows)
    for name, kind in layout.columns.items():
        typed[name], mask = columns.convert(read.batch[name], kind, dialect.na_values)
        if pc.any(mask).as_py():
            masks[name] = mask
            bad = pc.or_(bad, mask)
    fitting = pa.record_batch(typed)
    if not masks:
        return Batch(fitting, read.numbers, rejects)
    refused = [_refusal(read, index, layout, masks) for index in pc.indices_nonzero(bad).to_pylist()]
    keep = pc.invert(bad)
    ordered = sorted(rejects + refused, key=lambda reject: reject.row or 0)
    return Batch(fitting.filter(keep), read.numbers.filter(keep), ordered)


def _refusal(read: Rows, index: int, layout: Plan, masks: Mapping[str, pa.Array]) -> Reject:
    values = [value.decode(errors="replace") for value in (read.batch[name][index].as_py() for name in layout.columns)]
    wrong = [
        f"{name} '{value}' is not {columns.IN_WORDS[layout.columns[name]]}"
        for name, value in zip(layout.columns, values, strict=True)
        if name in masks and masks[name][index].as_py()
    ]
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return Reject(read.numbers[index].as_py(), "; ".join(wrong), line.getvalue())


def _inferred(path: Path, dialect: Dialect, names: list[str]) -> dict[str, str]:
    sample: list[pa.RecordBatch] = []
    for read in rows(path, dialect, []):
        sample.append(read.batch.slice(0, SAMPLE_ROWS))
        if sum(batch.num_rows for batch in sample) >= SAMPLE_ROWS:
            break
    if not sample:
        return dict.fromkeys(names, "string")
    table = pa.Table.from_batches(sample).select(names)
    return {name: columns.infer(columns.text(table[name].combine_chunks(), dialect.na_values)) for name in names}


def _drained(misfits: list[Misfit]) -> list[Reject]:
    rejects = [Reject(misfit.row, misfit.reason, misfit.line) for misfit in misfits]
    misfits.clear()
    return rejects


def _repeated(value: str, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), count)
