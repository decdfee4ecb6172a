"""User code is what its source says now, also where size and time say that nothing has changed."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from headway.sdk.entrypoints import load_flow
from headway.sdk.fresh_code import FreshLoader, is_installed

SAME_TIME = (1_700_000_000, 1_700_000_000)


@pytest.fixture(autouse=True)
def keeping_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)


def write(path: Path, value: int) -> None:
    """Always the same size and the same time."""
    path.write_text(f"VALUE = {value}\n")
    os.utime(path, SAME_TIME)


def value_of(path: Path) -> int:
    spec = importlib.util.spec_from_file_location("fresh", path, loader=FreshLoader("fresh", str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    value: int = module.VALUE
    return value


def test_a_change_that_size_and_time_do_not_show_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "fresh.py"
    for value in (1, 2, 3):
        write(path, value)
        assert [value_of(path), value_of(path)] == [value, value]


def test_bytecode_that_python_made_from_an_older_source_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "fresh.py"
    write(path, 1)
    py_compile.compile(str(path), doraise=True)
    write(path, 2)
    assert value_of(path) == 2


def test_bytecode_of_this_source_is_used_and_python_itself_accepts_it(tmp_path: Path) -> None:
    path = tmp_path / "fresh.py"
    write(path, 1)
    assert value_of(path) == 1
    kept = Path(importlib.util.cache_from_source(str(path)))
    before = kept.stat().st_mtime_ns
    assert value_of(path) == 1
    said = subprocess.check_output([sys.executable, "-c", "import fresh; print(fresh.VALUE)"], cwd=tmp_path, text=True)
    assert said == "1\n"
    assert kept.stat().st_mtime_ns == before
    kept.write_bytes(kept.read_bytes()[:20])
    assert value_of(path) == 1


def test_a_folder_that_cannot_be_written_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "fresh.py"
    write(path, 1)
    (tmp_path / "__pycache__").write_text("in the way")
    assert value_of(path) == 1


def test_modules_that_a_flow_imports_are_compared_too_but_not_installed_ones(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import helper\nfrom headway import flow\n\n@flow\ndef told():\n    return helper.VALUE\n"
    )
    write(tmp_path / "helper.py", 1)
    py_compile.compile(str(tmp_path / "helper.py"), doraise=True)
    write(tmp_path / "helper.py", 2)
    script = (
        "from headway.sdk.fresh_code import compare_by_content; compare_by_content(); compare_by_content()\n"
        "from headway.sdk.entrypoints import load_flow; from pathlib import Path; import json, sys\n"
        "print(load_flow('main.py:told', [Path.cwd()]).fn(), type(json.__loader__).__name__, len(sys.path_hooks))"
    )
    said = subprocess.check_output([sys.executable, "-c", script], cwd=tmp_path, text=True)
    assert said == "2 SourceFileLoader 3\n"
    assert load_flow("main.py:told", [tmp_path]).fn.__module__ == "main"


def test_what_is_installed_is_told_from_what_is_not(tmp_path: Path) -> None:
    assert is_installed(os.path.dirname(os.__file__))
    assert is_installed(str(Path(os.__file__).parent / "json"))
    assert not is_installed(str(tmp_path))
    assert not is_installed(f"{Path(os.__file__).parent}-beside")
