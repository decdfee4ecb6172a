"""`INDEX.md` maps every bullet of the issue to the tests that show it; these tests keep the map true."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INDEX = ROOT / "tests/e2e/INDEX.md"
BULLETS = {1: 3, 2: 13, 3: 8, 4: 7, 5: 10, 6: 5, 7: 3}
"""How many bullets each section of the issue has; sections 4, 5 and 7 are counted by sentence group (see INDEX.md).
A bullet has a row per promise."""

ROW = re.compile(r"^\| (?P<id>(issue 3: )?\d+\.\d+) \| (?P<what>[^|]+) \| (?P<tests>[^|]+) \|$")


def rows() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in INDEX.read_text().splitlines():
        if matched := ROW.match(line):
            tests = re.findall(r"`([^`]+)`", matched["tests"])
            assert tests, f"no test in the row {line}"
            found.setdefault(matched["id"], []).extend(tests)
    return found


@cache
def functions_of(path: Path) -> frozenset[str]:
    """Names of the test functions (and Class::method) of a file."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            parts = [part for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]
            names.update(f"{node.name}::{part.name}" for part in parts)
    return frozenset(name for name in names if "test_" in name)


def test_every_bullet_of_the_issue_has_at_least_one_test() -> None:
    expected = {f"{section}.{number}" for section, count in BULLETS.items() for number in range(1, count + 1)}
    mapped = {bullet for bullet, tests in rows().items() if tests and not bullet.startswith("issue 3: ")}
    assert mapped == expected


@pytest.mark.parametrize("reference", sorted({test for tests in rows().values() for test in tests}))
def test_every_test_the_map_names_exists(reference: str) -> None:
    file, _, name = reference.partition("::")
    path = ROOT / "tests" / file
    assert path.is_file(), f"INDEX.md names {file}, which is not there"
    assert functions_of(path), f"{file} has no tests"
    if name:
        assert name in functions_of(path), f"{file} has no test {name}"


def test_every_end_to_end_file_is_in_the_map() -> None:
    named = {test.partition("::")[0] for tests in rows().values() for test in tests}
    files = {path.relative_to(ROOT / "tests").as_posix() for path in (ROOT / "tests/e2e").rglob("test_*.py")}
    assert files - named - {"e2e/test_index.py"} == set()


def test_nothing_in_the_map_is_skipped_or_expected_to_fail() -> None:
    excused = re.compile(r"mark\.(skip|xfail)\b")  # skipif names a missing service, and fails under CI
    files = {test.partition("::")[0] for tests in rows().values() for test in tests}
    assert [file for file in sorted(files) if excused.search((ROOT / "tests" / file).read_text())] == []
