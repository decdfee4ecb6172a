"""SQLite files that are kept between runs, below .cache/bench."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

CACHE = Path(__file__).parent.parent / ".cache" / "bench"


def keep(label: str, name: str, files: Iterable[Path]) -> None:
    """Move the files of a stopped server there, in place of older ones with the same content."""
    for stale in CACHE.glob(f"{label}-{name.rpartition('-')[0]}-*"):
        shutil.rmtree(stale, ignore_errors=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f"{label}-new-", dir=CACHE))
    for file in files:
        shutil.move(file, new / file.name)
    try:
        new.rename(CACHE / f"{label}-{name}")
    except OSError:  # another run has made the same meanwhile
        shutil.rmtree(new)


def restore(label: str, name: str, home: Path, clear: Callable[[], None]) -> bool:
    """Copy kept files into a home that `clear` empties; False if there are none."""
    folder = CACHE / f"{label}-{name}"
    if not folder.exists():
        return False
    clear()
    for file in folder.iterdir():
        shutil.copy2(file, home / file.name)
    return True
