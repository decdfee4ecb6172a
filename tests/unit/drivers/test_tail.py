"""Lines are cut by their bytes alone, whenever they are read."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from headway.drivers.process import tail
from headway.drivers.process.tail import Tail


def test_a_line_without_its_end_is_given_only_when_nothing_more_can_come(tmp_path: Path) -> None:
    path = tmp_path / "stdout"
    path.write_bytes(b"whole\r\npart")
    reader = Tail(path, "stdout", 0)
    assert [line.text for line in reader.read(final=False)] == ["whole"]
    assert list(reader.read(final=False)) == []
    assert [(line.offset, line.text) for line in reader.read(final=True)] == [(7, "part")]


def test_a_file_that_is_not_there_yet_has_no_lines(tmp_path: Path) -> None:
    assert list(Tail(tmp_path / "absent", "stdout", 0).read(final=True)) == []


@settings(deadline=None)
@given(content=st.binary(max_size=400), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_reading_piece_by_piece_gives_the_same_lines_as_reading_at_once(content: bytes, cuts: list[int]) -> None:
    content = content.replace(b"\x00", b"\n")
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder) / "stream", content, sorted(cuts))


def compare(path: Path, content: bytes, cuts: list[int]) -> None:
    path.write_bytes(content)
    at_once = [(line.offset, line.after, line.text) for line in Tail(path, "s", 0).read(final=True)]
    reader = Tail(path, "s", 0)
    pieces = []
    for cut in cuts:
        path.write_bytes(content[:cut])
        pieces += [(line.offset, line.after, line.text) for line in reader.read(final=False)]
    path.write_bytes(content)
    pieces += [(line.offset, line.after, line.text) for line in reader.read(final=True)]
    assert pieces == at_once


def test_more_than_one_read_is_needed_for_much_output(tmp_path: Path) -> None:
    path = tmp_path / "stdout"
    path.write_bytes(b"0123456789\n" * 200_000)
    reader = Tail(path, "stdout", 0)
    count = 0
    while batch := list(reader.read(final=True)):
        assert len(batch) <= tail.CHUNK
        count += len(batch)
    assert count == 200_000
