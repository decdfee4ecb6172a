"""Reads a growing file line by line, each line known by the byte where it begins.

Where a line is cut depends on the bytes alone, never on when they were read, so that reading again from any
line's offset gives the same lines: log ids are made from offsets.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from headway.drivers.base import LogLine

__all__ = ["LONGEST_LINE", "Tail"]

LONGEST_LINE = 64 * 1024
"""A longer line is given in pieces of this many bytes."""
CHUNK = 1024 * 1024


class Tail:
    """One stream, read from `offset` on."""

    def __init__(self, path: Path, stream: str, offset: int) -> None:
        self.path = path
        self.stream = stream
        self.offset = offset

    def read(self, final: bool) -> Iterator[LogLine]:
        """The whole lines that are there by now, at most about a MiB of them; with `final`, also a last
        one without its end."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(CHUNK)
        except FileNotFoundError:
            return
        now = datetime.now(UTC)
        start = 0
        complete = final and len(data) < CHUNK
        while start < len(data):
            limit = start + LONGEST_LINE
            newline = data.find(b"\n", start, limit)
            if newline >= 0:
                end, after = newline, newline + 1
            elif limit <= len(data):
                end = after = limit
            elif complete:
                end = after = len(data)
            else:
                return
            text = data[start:end].rstrip(b"\r").decode(errors="replace")
            begin, self.offset = self.offset, self.offset + after - start
            start = after
            yield LogLine(self.stream, begin, self.offset, text, now)
