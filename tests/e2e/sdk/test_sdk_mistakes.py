"""Bad input in a script: one line on stderr that names the thing and the remedy, exit code 1, no traceback."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from headway.testing.processes import Place, Program

SCRIPT = """
import sys
from headway import Deployment, Process, flow, run_deployment

@flow
def etl(day: str = "today", rows: int = 3):
    return 1

if __name__ == "__main__":
    exec(sys.argv[1])
"""
RAISING = """
from headway import flow

@flow
def broken():
    raise ValueError("a defect")

broken()
"""
DEPLOY = "etl.deploy('d', work_pool_name='local', "
REFUSED = {
    "pool": ("etl.deploy('d', work_pool_name='locl')", "'locl' not found. Did you mean 'local'?"),
    "type": (
        "Deployment.build_from_flow(etl, 'd', work_pool_name='k8s', infrastructure=Process()).apply()",
        "'kubernetes'",
    ),
    "flow": ("run_deployment('elt/nightly')", "Did you mean 'etl/nightly'?"),
    "parameter": (f"{DEPLOY} parameters={{'dya': 1}})", "did you mean 'day'?"),
    "ill-typed parameter": (f"{DEPLOY} parameters={{'rows': 'many'}})", "'rows'"),
    "parameter of a run": ("run_deployment('etl/nightly', parameters={'dya': 1})", "did you mean 'day'?"),
    "argument": ("etl(dya=1)", "It takes (day: str = 'today', rows: int = 3)"),
    "job variable": (f"{DEPLOY} job_variables={{'wroking_dir': '/x'}})", "did you mean 'working_dir'?"),
    "job variable of a run": ("run_deployment('etl/nightly', job_variables={'nope': 1})", "allowed: command"),
    "cron": (f"{DEPLOY} cron='61 * * * *')", "bad cron '61 * * * *'"),
    "time zone": (f"{DEPLOY} cron='0 6 * * *', timezone='Europe/Berln')", "did you mean 'Europe/Berlin'?"),
}


def mistake(script: Program) -> str:
    """The one line of a script that was given something wrong."""
    assert script.wait(60) == 1, script.text
    assert "Traceback" not in script.text
    (line,) = script.err
    return line


@pytest.fixture
def script(place: Place) -> Path:
    path = place.home / "script.py"
    path.write_text(SCRIPT)
    return path


@pytest.mark.timeout(180)
def test_what_does_not_exist_or_does_not_fit_is_one_line(site: Place, script: Path) -> None:
    template = '{"job_configuration": {"image": "busybox"}}'
    site.run("work-pool", "create", "local", "--type", "process")
    site.run("work-pool", "create", "k8s", "--type", "kubernetes", "--base-job-template", template)
    site.run("deploy", "script.py:etl", "--name", "nightly", "--pool", "local", "--param", "day=x")
    started = {what: site.program(sys.executable, str(script), code) for what, (code, _) in REFUSED.items()}
    for what, program in started.items():
        line = mistake(program)
        assert REFUSED[what][1] in line, f"{what}: {line}"
        assert "(script.py, line 10)" in line


def test_a_corrupted_database_or_an_unwritable_folder_is_one_line(place: Place, script: Path) -> None:
    (place.home / "headway.db").write_bytes(os.urandom(8192))
    damaged = place.program(sys.executable, str(script), "etl()")
    unwritable = place.program(sys.executable, str(script), "etl()", home=script / "home")
    for program, path in ((damaged, place.home / "headway.db"), (unwritable, script)):
        line = mistake(program)
        assert str(path) in line
        assert "HEADWAY_HOME" in line


def test_a_defect_of_the_script_itself_keeps_its_traceback(place: Place) -> None:
    path = place.home / "raising.py"
    path.write_text(RAISING)
    program = place.program(sys.executable, str(path))
    assert program.wait(60) == 1
    assert "Traceback (most recent call last):" in program.err
    assert program.err[-1] == "ValueError: a defect"


def test_in_development_mode_mistakes_have_their_traceback_too(place: Place, script: Path) -> None:
    program = place.program(sys.executable, "-X", "dev", "-W", "ignore", str(script), "etl(dya=1)")
    assert program.wait(60) == 1
    assert "Traceback (most recent call last):" in program.err
