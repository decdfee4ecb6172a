"""Reading one CSV file in bounded memory: its header, and batches of numbered rows of bytes.

A row's number counts rows that are not blank; the header is row 1. Rows with the wrong number of fields never reach a
batch: they are handed over as `Misfit`s.
"""

import csv
import hashlib
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from autoloader.columns import IDENTITY_COLUMNS
from autoloader.errors import ChangedWhileRead, NotLoadable

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
BLOCK = 4 << 20
LONGEST_HEADER = 1 << 20


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the files of one ingestion are written."""

    delimiter: str = ","
    na_values: tuple[str, ...] = ("", "NA")


@dataclass(frozen=True, slots=True)
class Misfit:
    """A row with the wrong number of fields."""

    row: int
    reason: str
    line: str


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch of rows, all columns as bytes, and the row number of each."""

    batch: pa.RecordBatch
    numbers: pa.Array


class HashingFile(io.RawIOBase):
    """Hashes the bytes as they are read, so that what was loaded can be compared with what was identified."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data

    def content_hash(self) -> str:
        """The hash of the whole file: reads what a decompressor has left unread."""
        while self.read(BLOCK):
            pass
        return self._digest.hexdigest()

    def close(self) -> None:
        self._file.close()
        super().close()


@dataclass(slots=True)
class _Numbering:
    """Gives the rows of a batch their numbers, leaving out those of the misfits before and between them."""

    upcoming: int = 2
    misfits: deque[int] = field(default_factory=deque)

    def take(self, count: int) -> pa.Array:
        numbers: list[int] = []
        while len(numbers) < count:
            self._skip()
            stop = self.misfits[0] if self.misfits else self.upcoming + count
            span = min(count - len(numbers), stop - self.upcoming)
            numbers.extend(range(self.upcoming, self.upcoming + span))
            self.upcoming += span
        return pa.array(numbers, pa.int64())

    def _skip(self) -> None:
        while self.misfits and self.misfits[0] == self.upcoming:
            self.misfits.popleft()
            self.upcoming += 1


def header(path: Path, dialect: Dialect) -> list[str]:
    """The column names of a file.

    Raises:
        NotLoadable: no header, a column without a name or named twice, or a name that the identity columns own.
    """
    with HashingFile(path) as file:
        first = _first_line(_stream(file, path))
    names = [name.strip() for name in next(csv.reader([first], delimiter=dialect.delimiter), [])]
    if not names:
        raise NotLoadable("the file is empty: a header line with the column names was expected")
    for position, name in enumerate(names, 1):
        if not name:
            raise NotLoadable(f"column {position} of the header has no name")
        if names.count(name) > 1:
            raise NotLoadable(f"the header names column '{name}' twice")
        if name in IDENTITY_COLUMNS:
            raise NotLoadable(f"the header has a column '{name}': that name is kept for the file's identity")
    return names


def rows(path: Path, dialect: Dialect, misfits: list[Misfit], content_hash: str | None = None) -> Iterator[Rows]:
    """Stream the rows of a file; `misfits` is filled as the reader meets them, at the latest one batch ahead.

    Raises:
        NotLoadable: the content cannot be decompressed or split into rows at all.
        ChangedWhileRead: at the end, if what was read is not what `content_hash` promised.
    """
    names = header(path, dialect)
    numbering = _Numbering()

    def misfit(row: Any) -> str:
        numbering.misfits.append(row.number)
        reason = f"expected {row.expected_columns} fields, found {row.actual_columns}"
        misfits.append(Misfit(row.number, reason, row.text))
        return "skip"

    with HashingFile(path) as file:
        try:
            reader = _reader(_stream(file, path), names, dialect, misfit)
            while reader is not None and (batch := _next(reader)) is not None:
                yield Rows(batch, numbering.take(batch.num_rows))
        except (pa.ArrowInvalid, OSError) as error:
            _promised(file, path, content_hash)  # a file that is being written to may look broken
            raise _unreadable(error) from error
        _promised(file, path, content_hash)


def _promised(file: HashingFile, path: Path, content_hash: str | None) -> None:
    if content_hash is not None and file.content_hash() != content_hash:
        raise ChangedWhileRead(f"{path} was written to while it was read; the next trigger takes it")


def _unreadable(error: Exception) -> Exception:
    if isinstance(error, pa.ArrowInvalid):
        return NotLoadable(f"not readable as CSV: {_one_line(error)}")
    if isinstance(error, OSError) and error.errno is not None:  # the disk's trouble, not the content's
        return error
    return NotLoadable(f"cannot be decompressed: {_one_line(error)}")


def _stream(file: HashingFile, path: Path) -> pa.NativeFile:
    plain = pa.PythonFile(file, mode="r")
    compression = COMPRESSIONS.get(path.suffix.lower())
    return pa.CompressedInputStream(plain, compression) if compression else plain


def _reader(
    stream: pa.NativeFile, names: list[str], dialect: Dialect, misfit: Any
) -> arrow_csv.CSVStreamingReader | None:
    try:
        return arrow_csv.open_csv(
            stream,
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK, column_names=names, skip_rows=1),
            parse_options=arrow_csv.ParseOptions(delimiter=dialect.delimiter, invalid_row_handler=misfit),
            convert_options=arrow_csv.ConvertOptions(
                column_types={name: pa.binary() for name in names}, strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):  # a header and nothing below it
            return None
        raise


def _next(reader: arrow_csv.CSVStreamingReader) -> pa.RecordBatch | None:
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def _first_line(stream: pa.NativeFile) -> str:
    try:
        start = bytes(stream.read(LONGEST_HEADER))
    except OSError as error:
        raise _unreadable(error) from error
    line = start.split(b"\n", 1)[0].rstrip(b"\r").removeprefix(b"\xef\xbb\xbf")
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise NotLoadable("the header is not text in UTF-8") from error


def _one_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300]
