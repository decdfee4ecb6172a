"""No API URL: the server runs inside the script, on the local SQLite file; many scripts share it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headway.testing.processes import Place

SCRIPT = """
import sys
from headway import flow, task
@task
def double(x: int) -> int:
    return 2 * x
@flow
def embedded_{n}(x: int) -> int:
    return double.submit(double(x)).result()
print(embedded_{n}({n}))
"""


def script(folder: Path, n: int) -> Path:
    path = folder / f"my_flow_{n}.py"
    path.write_text(SCRIPT.replace("{n}", str(n)))
    return path


def start(path: Path, home: Path) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HEADWAY_")}
    return subprocess.Popen(
        [sys.executable, str(path)],
        env={**environment, "HEADWAY_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    return out.strip()


def test_a_script_works_at_once_and_a_server_started_later_has_its_history(tmp_path: Path, history_of: Any) -> None:
    home = tmp_path / "home"
    assert finished(start(script(tmp_path, 3), home)) == "12"
    with Place(home) as place:
        place.server()
        with history_of(place.url) as history:
            run = history.run("embedded-3")
            assert run.state_name == "Completed"
            assert [t.state_name for t in history.task_runs(run.id, 2)] == ["Completed", "Completed"]
            history.logs(run.id, "Finished in state Completed()")


def test_while_a_server_holds_the_home_a_script_uses_that_server(tmp_path: Path, history_of: Any) -> None:
    home = tmp_path / "home"
    with Place(home) as place:
        place.server()
        assert finished(start(script(tmp_path, 5), home)) == "20"
        with history_of(place.url) as history:
            assert history.run("embedded-5").state_name == "Completed"


@pytest.mark.timeout(300)
def test_ten_scripts_started_at_once_all_complete_and_are_all_in_the_history(tmp_path: Path, history_of: Any) -> None:
    home = tmp_path / "home"
    processes = [start(script(tmp_path, n), home) for n in range(10)]
    assert [finished(process) for process in processes] == [str(4 * n) for n in range(10)]
    with Place(home) as place:
        place.server()
        with history_of(place.url) as history:
            for n in range(10):
                run = history.run(f"embedded-{n}")
                assert run.state_name == "Completed"
                assert len(history.task_runs(run.id, 2)) == 2


def test_a_forked_child_opens_its_own_connections(tmp_path: Path, history_of: Any) -> None:
    home = tmp_path / "home"
    path = tmp_path / "forks.py"
    path.write_text(
        """
import os, sys
from headway import flow
@flow
def forked(who: str) -> str:
    return who
forked("parent before")
pid = os.fork()
if pid == 0:
    forked("child")
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
forked("parent after")
@flow
def forks(who: str) -> None:
    pid = os.fork()
    if pid == 0:
        forked("child of a run")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
forks("x")
"""
    )
    finished(start(path, home))
    with Place(home) as place:
        place.server()
        with history_of(place.url) as history:
            found = {run.parameters["who"]: run.state_name for run in history.runs("forked")}
    assert found == {
        "parent before": "Completed",
        "child": "Completed",
        "parent after": "Completed",
        "child of a run": "Completed",
    }


def test_a_home_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    process = start(script(tmp_path, 1), blocked / "home")
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert str(blocked) in err.strip().splitlines()[-1]
