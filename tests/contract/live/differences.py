"""The reviewed list of where Headway's replies differ from the reference's on purpose."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from live.shapes import Gap

FILE = Path(__file__).parents[1] / "differences.toml"


@dataclass(frozen=True)
class Entry:
    """`route`, `step`, `at` and `what` are matched whole, with * for anything; only `reason` is for people."""

    reason: str
    at: str
    what: str = "*"
    route: str = "*"
    step: str = "*"

    def covers(self, step: str, route: str, gap: Gap) -> bool:
        pairs = ((self.step, step), (self.route, route), (self.at, gap.at), (self.what, gap.what))
        return all(matches(pattern, text) for pattern, text in pairs)


def matches(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text) is not None


def load() -> list[Entry]:
    """All entries; each must have a reason."""
    entries = [Entry(**entry) for entry in tomllib.loads(FILE.read_text())["difference"]]
    assert all(entry.reason.strip() for entry in entries)
    return entries
