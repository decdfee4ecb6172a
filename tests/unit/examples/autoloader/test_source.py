"""Reading CSV in bounded memory: headers, row numbers, rows that do not fit, files that are no CSV at all."""

import bz2
import gzip
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest
from autoloader.convert import Plan, batches
from autoloader.errors import ChangedWhileRead, NotLoadable
from autoloader.identity import identify
from autoloader.source import Dialect, Misfit

from autoloader import source

PLAIN = Dialect()


def numbered(path: Path, dialect: Dialect = PLAIN) -> tuple[dict[int, list[bytes]], list[Misfit]]:
    misfits: list[Misfit] = []
    found: dict[int, list[bytes]] = {}
    for read in source.rows(path, dialect, misfits):
        for number, row in zip(read.numbers.to_pylist(), read.batch.to_pylist(), strict=True):
            found[number] = list(row.values())
    return found, misfits


def test_rows_are_numbered_as_in_the_file_also_after_rows_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n3\n\n4,5\n6,7,8\n9,10\n")
    rows, misfits = numbered(path)
    assert rows == {2: [b"1", b"2"], 4: [b"4", b"5"], 6: [b"9", b"10"]}
    assert misfits == [
        Misfit(3, "expected 2 fields, found 1", "3"),
        Misfit(5, "expected 2 fields, found 3", "6,7,8"),
    ]


def test_numbers_stay_right_across_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BLOCK", 64)
    path = tmp_path / "a.csv"
    lines = [f"{n},x" if n % 7 else f"{n}" for n in range(2, 500)]
    path.write_text("n,x\n" + "\n".join(lines) + "\n")
    rows, misfits = numbered(path)
    assert all(row[0] == str(number).encode() for number, row in rows.items())
    assert [int(misfit.line) for misfit in misfits] == [misfit.row for misfit in misfits]
    assert len(rows) + len(misfits) == 498


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.bz2", ".csv.zst"])
def test_compressed_files_are_read_as_they_are(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    text = b"a;b\n1;2\n"
    packed = {".gz": gzip.compress, ".bz2": bz2.compress, ".zst": lambda b: pa.Codec("zstd").compress(b, asbytes=True)}
    path.write_bytes(packed.get(path.suffix, bytes)(text))
    assert source.header(path, Dialect(delimiter=";")) == ["a", "b"]
    assert numbered(path, Dialect(delimiter=";"))[0] == {2: [b"1", b"2"]}


def test_gzip_files_glued_together_are_read_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a\n1\n") + gzip.compress(b"2\n"))
    assert numbered(path)[0] == {2: [b"1"], 3: [b"2"]}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"a,,c\n1,2,3\n", "column 2 of the header has no name"),
        (b"a,b,a\n1,2,3\n", "names column 'a' twice"),
        (b"a,_source_row\n1,2\n", "kept for the file's identity"),
        (b"\xff\xfe\n1\n", "not text in UTF-8"),
    ],
)
def test_a_header_that_names_no_columns_is_refused_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(NotLoadable, match=reason):
        source.header(path, PLAIN)


@pytest.mark.parametrize("cut", [30, 2000])
def test_a_truncated_archive_is_not_loadable(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.csv.gz"
    lines = "".join(f"{n},{n * 7919 % 104729}\n" for n in range(20_000))
    path.write_bytes(gzip.compress(b"a,b\n" + lines.encode())[:-cut])
    with pytest.raises(NotLoadable, match="cannot be decompressed"):
        numbered(path)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n")
    assert source.header(path, PLAIN) == ["a", "b"]
    assert numbered(path)[0] == {2: [b"1", b"2"]}


def test_a_file_that_changes_between_its_identity_and_its_reading_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    identity = identify(path)
    path.write_text("a\n1\n2\n")
    with pytest.raises(ChangedWhileRead, match="written to while it was read"):
        list(source.rows(path, PLAIN, [], identity.content_hash))


def test_the_disk_s_own_errors_are_not_taken_for_bad_content(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(source.rows(tmp_path / "gone.csv", PLAIN, []))


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BLOCK", 256 << 10)
    path, layout = tmp_path / "big.csv.gz", Plan({"a": "long", "b": "string"})
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"a,b\n")
        for n in range(600):
            file.write(f"{n},{'x' * 100}\n".encode() * 1000)  # about 64 MB in all
    before, peak, rows = pa.total_allocated_bytes(), 0, 0
    tracemalloc.start()
    for batch in batches(path, layout, PLAIN):
        rows += batch.fitting.num_rows
        peak = max(peak, pa.total_allocated_bytes() - before)
    python_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 600_000
    assert peak + python_peak < 16 << 20
