"""What `pip install headway` brings: tens of packages, less than 60 MB."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
MEGABYTE = 1_000_000


def core_packages() -> dict[str, int]:
    """Bytes on disk of every package the core install needs, compiled caches left out."""
    found: dict[str, int] = {}
    waiting = ["headway"]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        distribution = importlib.metadata.distribution(name)
        files = [Path(str(file.locate())) for file in distribution.files or [] if file.suffix != ".pyc"]
        found[name] = sum(file.stat().st_size for file in files if file.is_file())
        for text in distribution.requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    ours = (ROOT / "src/headway").rglob("*.py")  # an editable install lists none of its files
    found["headway"] = sum(file.stat().st_size for file in ours)
    return found


def test_the_core_install_is_small() -> None:
    sizes = core_packages()
    assert len(sizes) < 60
    assert sum(sizes.values()) < 60 * MEGABYTE, sorted(sizes.items(), key=lambda item: -item[1])[:10]


def test_the_version_is_said_once_and_the_same() -> None:
    from headway.version import __version__

    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()
    assert importlib.metadata.version("headway") == __version__
