"""Where a worker finds a flow: a file below the project's root, a module of it, and what it says of a missing one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from headway.testing.processes import HEADWAY, Place

NESTED = """
from headway import flow
import sibling

@flow
def nested():
    print(f"nested with {sibling.VALUE}", flush=True)
"""
MODULE = """
from headway import flow
from package import other

@flow
def modular():
    print(f"module with {other.VALUE}", flush=True)
"""


def project_at(folder: Path) -> Path:
    (folder / "jobs").mkdir(parents=True)
    (folder / "jobs/nested.py").write_text(NESTED)
    (folder / "jobs/sibling.py").write_text("VALUE = 'a sibling'\n")
    (folder / "package").mkdir()
    (folder / "package/__init__.py").touch()
    (folder / "package/modular.py").write_text(MODULE)
    (folder / "package/other.py").write_text("VALUE = 'another module'\n")
    return folder


def deploy(place: Place, folder: Path, entrypoint: str, name: str) -> None:
    command = [HEADWAY, "deploy", entrypoint, "--name", name, "--pool", "local"]
    subprocess.run(command, cwd=folder, env=place.env(), check=True, capture_output=True, timeout=60)


def run_of(place: Place, deployment: str) -> str:
    id: str = place.run("deployment", "run", deployment, "--output", "json").json["id"]
    return id


def test_files_and_modules_are_found_from_the_projects_root_whatever_the_workers_folder(
    site: Place, tmp_path: Path
) -> None:
    site.run("work-pool", "create", "local", "--type", "process")
    folder = project_at(tmp_path / "project")
    deploy(site, folder, "jobs/nested.py:nested", "file")
    deploy(site, folder, "package.modular:modular", "module")
    stored = site.run("deployment", "inspect", "nested/file", "--output", "json").json
    assert (stored["path"], stored["entrypoint"]) == (str(folder), "jobs/nested.py:nested")
    runs = {"nested with a sibling": run_of(site, "file"), "module with another module": run_of(site, "module")}
    assert site.worker("local", "--run-once").wait(60) == 0
    for words, run in runs.items():
        assert words in site.run("flow-run", "logs", run).out


def test_a_file_that_is_gone_fails_the_run_with_the_path_that_was_tried(site: Place, tmp_path: Path) -> None:
    site.run("work-pool", "create", "local", "--type", "process")
    folder = project_at(tmp_path / "project")
    deploy(site, folder, "jobs/nested.py:nested", "file")
    shutil.rmtree(folder / "jobs")
    run = run_of(site, "file")
    assert site.worker("local", "--run-once").wait(60) == 0
    ended = site.run("flow-run", "inspect", run, "--output", "json").json
    assert ended["state_name"] == "Failed"
    assert str(folder / "jobs/nested.py") in ended["state"]["message"]
