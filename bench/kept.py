"""SQLite files that are kept between runs, below .cache/bench."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

CACHE = Path(__file__).parent.parent / ".cache" / "bench"


def keep(label: str, name: str, files: Iterable[Path]) -> None:
    """Move the files of a stopped server there, in place of older ones with the same content."""
    for stale in CACHE.glob(f"{label}-{name.rpartition('-')[0]}-*"):
        shutil.rmtree(stale)
    new = CACHE / f"{label}-{name}.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for file in files:
        shutil.move(file, new / file.name)
    new.rename(new.with_suffix(""))


def restore(label: str, name: str, home: Path, clear: Callable[[], None]) -> bool:
    """Copy kept files into a home that `clear` empties; False if there are none."""
    folder = CACHE / f"{label}-{name}"
    if not folder.exists():
        return False
    clear()
    for file in folder.iterdir():
        shutil.copy2(file, home / file.name)
    return True
