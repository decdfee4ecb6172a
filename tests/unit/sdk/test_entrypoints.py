"""Entrypoints: files relative to a root, modules, and what is said when they lead nowhere."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway import flow
from headway.core.errors import EntrypointNotFound
from headway.sdk.entrypoints import load_flow, relative_entrypoint

SOURCE = "from headway import flow\nimport helper_{n}\n@flow\ndef etl(): return helper_{n}.VALUE\n"


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("helper_", "etl_", "pack_", "headway_flow_")):
            del sys.modules[name]


def write(folder: Path, name: str, n: int, source: str = SOURCE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"helper_{n}.py").write_text("VALUE = 7\n")
    path = folder / name
    path.write_text(source.format(n=n))
    return path


def test_a_file_is_found_relative_to_its_root_with_what_lies_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "sub", "etl_a.py", 1)
    found = load_flow("sub/etl_a.py:etl", [tmp_path])
    assert found.fn() == 7
    assert found.entrypoint == "sub/etl_a.py:etl"


def test_roots_are_tried_in_turn(tmp_path: Path) -> None:
    write(tmp_path / "second", "etl_b.py", 2)
    assert load_flow("etl_b.py:etl", [tmp_path / "first", tmp_path / "second"]).name == "etl"


def test_the_only_flow_needs_no_name(tmp_path: Path) -> None:
    path = write(tmp_path, "etl_c.py", 3)
    assert load_flow(str(path)).name == "etl"


def test_a_missing_file_names_every_path_that_was_tried(tmp_path: Path) -> None:
    with pytest.raises(EntrypointNotFound) as caught:
        load_flow("gone.py:etl", [tmp_path / "a", tmp_path / "b"])
    message = str(caught.value)
    assert str(tmp_path / "a/gone.py") in message
    assert str(tmp_path / "b/gone.py") in message
    assert "Deploy again" in message


def test_a_missing_flow_suggests_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "etl_d.py", 4)
    with pytest.raises(EntrypointNotFound, match=r"no flow 'elt'.*etl"):
        load_flow("etl_d.py:elt", [tmp_path])


def test_several_flows_need_a_name(tmp_path: Path) -> None:
    write(tmp_path, "etl_e.py", 5, SOURCE + "@flow\ndef other(): ...\n")
    with pytest.raises(EntrypointNotFound, match="has 2 flows; name one"):
        load_flow("etl_e.py", [tmp_path])
    assert load_flow("etl_e.py:other", [tmp_path]).name == "other"


def test_a_module_is_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "pack_f").mkdir()
    (tmp_path / "pack_f/__init__.py").write_text("")
    (tmp_path / "pack_f/mod.py").write_text("from headway import flow\n@flow(name='n')\ndef etl(): return 1\n")
    assert load_flow("pack_f.mod:etl", [tmp_path]).name == "n"
    with pytest.raises(EntrypointNotFound, match=r"no module 'pack_f\.nope'"):
        load_flow("pack_f.nope:etl", [tmp_path])


def test_an_error_of_the_module_itself_goes_through(tmp_path: Path) -> None:
    (tmp_path / "etl_g.py").write_text("import not_installed_anywhere\n")
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        load_flow("etl_g.py:etl", [tmp_path])


def test_a_file_does_not_replace_a_module_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "json.py"
    path.write_text("from headway import flow\n@flow\ndef etl(): return 1\n")
    import json

    load_flow(f"{path}:etl")
    assert sys.modules["json"] is json


def test_an_entrypoint_is_stored_relative_to_the_project(tmp_path: Path) -> None:
    write(tmp_path / "flows", "etl_h.py", 8)
    found = load_flow("flows/etl_h.py:etl", [tmp_path])
    assert relative_entrypoint(found, tmp_path) == "flows/etl_h.py:etl"


def test_a_file_outside_of_the_project_is_stored_with_its_whole_path(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", "etl_i.py", 9)
    (tmp_path / "here").mkdir()
    found = load_flow(f"{tmp_path}/elsewhere/etl_i.py", [tmp_path / "here"])
    assert relative_entrypoint(found, tmp_path / "here") == f"{tmp_path}/elsewhere/etl_i.py:etl"


def test_a_flow_inside_a_function_cannot_be_deployed(tmp_path: Path) -> None:
    @flow
    def inner() -> None: ...

    with pytest.raises(EntrypointNotFound, match="defined inside a function"):
        relative_entrypoint(inner, tmp_path)
