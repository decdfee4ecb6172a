"""A small lake of one's own: a source folder, a target, and words for putting files in and reading rows back."""

import gzip
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[4] / "examples" / "autoloader"
if str(EXAMPLE) not in sys.path:
    sys.path.insert(0, str(EXAMPLE))

from autoloader.commit import Hooks  # noqa: E402
from autoloader.lake import Target  # noqa: E402
from autoloader.load import Outcome, Source, load_file  # noqa: E402


@dataclass
class Lake:
    """One ingestion's folder and target."""

    source: Source
    target: Target

    def put(self, name: str, text: str) -> Path:
        path = self.source.folder / name
        path.write_bytes(gzip.compress(text.encode(), mtime=0) if name.endswith(".gz") else text.encode())
        return path

    def load(self, path: Path, hooks: Hooks | None = None) -> Outcome:
        return load_file(path, self.source, self.target, hooks)

    def rows(self) -> list[dict[str, Any]]:
        return self._read(self.target.table)

    def rejects(self) -> list[dict[str, Any]]:
        return self._read(self.target.rejects)

    def _read(self, name: str) -> list[dict[str, Any]]:
        catalog = self.target.catalog()
        if not catalog.namespace_exists("lake") or not catalog.table_exists(name):
            return []
        return list(catalog.load_table(name).scan().to_arrow().to_pylist())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return Lake(Source(folder), Target(tmp_path / "warehouse", "lake.flights"))


@pytest.fixture
def flights() -> Callable[..., str]:
    def write(*rows: str, header: str = "month,carrier,delay") -> str:
        return "\n".join([header, *rows]) + "\n"

    return write
