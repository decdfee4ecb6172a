"""The two commands of a newcomer: what `make` would do, without doing it inside a test run."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLEAN = {name: value for name, value in os.environ.items() if name not in ("CI", "MAKEFLAGS", "MAKELEVEL")}


def would_do(target: str, **variables: str) -> str:
    """The commands of a make target, as make prints them."""
    done = subprocess.run(
        ["make", "--always-make", "--dry-run", target],
        cwd=ROOT,
        env={**CLEAN, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_make_test_lints_types_checks_layers_and_runs_every_test() -> None:
    said = would_do("test")
    for words in ("-m venv .venv", "pip install", "ruff check .", "ruff format --check .", "mypy", "lint-imports"):
        assert words in said
    (run,) = [line for line in said.splitlines() if "-m pytest" in line]
    assert run.split()[-1] == "tests"
    assert " -m " not in run.partition("pytest")[2]
    assert " -k " not in run


def test_types_are_strict_and_layers_are_written_down() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert tools["mypy"]["strict"] is True
    assert (ROOT / ".importlinter").is_file()


def test_ci_calls_the_same_command_and_excuses_nothing() -> None:
    script = (ROOT / ".ci/run").read_text().splitlines()
    commands = [line for line in script if line.strip() and not line.startswith("#")]
    assert commands[-1] == "exec make test"
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert "--live" in would_do("test", CI="true")
    assert "--live" not in would_do("test")


def test_make_demo_installs_without_what_only_tests_need() -> None:
    said = would_do("demo")
    assert "-m venv .venv" in said
    assert "requirements/demo.txt" in said
    assert "requirements/test.txt" not in said
    assert "-m autoloader.demo" in said


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("README.md", ["make demo", "make test", "@flow", "work pool", "ARCHITECTURE.md"]),
        ("ARCHITECTURE.md", ["may import", "core", "wire", "store"]),
        ("CONTRIBUTING.md", ["make test", "changes/"]),
        ("CHANGELOG.md", []),
        ("LICENSE", ["Apache License", "Version 2.0"]),
    ],
)
def test_the_pages_a_newcomer_looks_for_are_there(page: str, words: list[str]) -> None:
    text = (ROOT / page).read_text()
    assert [word for word in words if word not in text] == []


def test_changes_are_kept_as_fragments() -> None:
    assert [path.name for path in (ROOT / "changes").iterdir() if path.suffix == ".md"]
