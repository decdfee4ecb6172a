"""`python -m headway.engine` and what people deploy: entrypoints, fences, signals, time limits, retries, serve."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest

from headway.sdk.deployments import Deployment
from headway.sdk.entrypoints import load_flow
from headway.testing.processes import Place
from headway.testing.waiting import eventually
from headway.wire.deployments import DeploymentFlowRunCreate
from headway.wire.states import StateCreate, StateType

Unique = Callable[[str], str]


class Engine:
    """An engine's process in its own session, as a worker would start it."""

    def __init__(self, cwd: Path, *arguments: str, **variables: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "headway.engine", *arguments],
            env={**os.environ, **variables},
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.out = self.err = ""

    def wait(self, timeout: float = 60) -> int:
        self.out, self.err = self.process.communicate(timeout=timeout)
        return self.process.returncode

    def end(self) -> None:
        with suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.process.communicate(timeout=10)


class Project:
    """A folder with flows, deployed without a pool; runs are started by hand."""

    def __init__(self, folder: Path, history: Any) -> None:
        self.folder = folder
        self.history = history
        self.engines: list[Engine] = []

    def deploy(self, source: str, function: str, name: str, **fields: Any) -> UUID:
        path = self.folder / f"{function}.py"
        path.write_text(source)
        flow = load_flow(f"{path.name}:{function}", [self.folder]).with_options(name=name)
        body = Deployment(flow=flow, name="d", path=str(self.folder), entrypoint=f"{path.name}:{function}", **fields)
        client = self.history.client
        made: UUID = client.apply_deployment(body.body(client.create_flow(name).id)).id
        return made

    def run(self, deployment: UUID, **parameters: Any) -> UUID:
        made: UUID = self.history.client.create_flow_run_from_deployment(
            deployment, DeploymentFlowRunCreate(parameters=parameters)
        ).id
        self.history.client.set_flow_run_state(made, StateCreate(type=StateType.PENDING))
        return made

    def engine(self, flow_run_id: UUID, **variables: str) -> Engine:
        engine = Engine(self.folder, HEADWAY_FLOW_RUN_ID=str(flow_run_id), **variables)
        self.engines.append(engine)
        return engine


@pytest.fixture
def project(history: Any, tmp_path: Path) -> Iterator[Project]:
    folder = tmp_path / "project"
    folder.mkdir()
    made = Project(folder, history)
    yield made
    for engine in made.engines:
        engine.end()


def state_name(project: Project, id: UUID) -> str:
    return str(project.history.client.read_flow_run(id).state_name)


def test_an_engine_runs_the_run_that_its_environment_names(project: Project, unique: Unique) -> None:
    source = """
from headway import flow, runtime
@flow(log_prints=True)
def etl(n: int):
    print("n is", n, type(n).__name__, runtime.deployment.id)
    return n
"""
    deployment = project.deploy(source, "etl", unique("etl"))
    id = project.run(deployment, n=4)
    engine = project.engine(id)
    assert engine.wait() == 0, engine.err
    assert state_name(project, id) == "Completed"
    project.history.logs(id, f"n is 4 int {deployment}")
    assert engine.out == ""


def test_an_engine_runs_the_run_that_is_named_as_an_argument(project: Project, unique: Unique) -> None:
    deployment = project.deploy("from headway import flow\n@flow\nasync def arg(): return 1\n", "arg", unique("arg"))
    id = project.run(deployment)
    engine = Engine(project.folder, "flow-run", "execute", str(id))
    project.engines.append(engine)
    assert engine.wait() == 0, engine.err
    assert state_name(project, id) == "Completed"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "No flow run is named"), (["flow-run", "execute", "7"], "'7' is not the id"), (["nonsense"], "usage:")],
)
def test_wrong_usage_is_one_line(tmp_path: Path, server: str, arguments: list[str], said: str) -> None:
    engine = Engine(tmp_path, *arguments)
    assert engine.wait() == 2
    assert said in engine.err
    assert "Traceback" not in engine.err


def test_a_missing_file_fails_the_run_naming_the_path_that_was_tried(project: Project, unique: Unique) -> None:
    source = "from headway import flow\n@flow(retries=3)\ndef gone(): ...\n"
    id = project.run(project.deploy(source, "gone", unique("gone")))
    (project.folder / "gone.py").unlink()
    assert project.engine(id).wait() == 1
    run = project.history.client.read_flow_run(id)
    assert run.state_name == "Failed"
    assert str(project.folder / "gone.py") in run.state.message


def test_a_module_that_cannot_be_imported_fails_the_run_with_the_reason(project: Project, unique: Unique) -> None:
    id = project.run(project.deploy("from headway import flow\n@flow\ndef bad(): ...\n", "bad", unique("bad")))
    (project.folder / "bad.py").write_text("import not_there_at_all\n")
    assert project.engine(id).wait() == 1
    run = project.history.client.read_flow_run(id)
    assert "No module named 'not_there_at_all'" in run.state.message
    project.history.logs(id, "Traceback")


def test_parameters_that_do_not_fit_fail_the_run(project: Project, unique: Unique) -> None:
    source = "from headway import flow\n@flow\ndef typed(n: int): ...\n"
    deployment = project.deploy(source, "typed", unique("typed"), enforce_parameter_schema=False)
    id = project.run(deployment, n="x")
    assert project.engine(id).wait() == 1
    assert "n: Input should be a valid integer" in project.history.client.read_flow_run(id).state.message


def test_user_code_sees_no_token(project: Project, unique: Unique) -> None:
    source = """
import os
SEEN = sorted(name for name in os.environ if "TOKEN" in name or name == "HEADWAY_ATTEMPT")
from headway import flow
@flow(log_prints=True)
def looks():
    print("seen:", SEEN)
"""
    id = project.run(project.deploy(source, "looks", unique("looks")))
    project.engine(id, HEADWAY_ATTEMPT="1", HEADWAY_ATTEMPT_TOKEN="secret").wait()
    project.history.logs(id, "seen: []")


def test_a_second_process_of_a_run_exits_before_user_code(project: Project, unique: Unique) -> None:
    source = """
import pathlib, os
pathlib.Path(__file__).with_name(f"loaded-{os.getpid()}").touch()
import time
from headway import flow
@flow
def held():
    while not pathlib.Path("release").exists():
        time.sleep(0.05)
"""
    id = project.run(project.deploy(source, "held", unique("held")))
    for marker in project.folder.glob("loaded-*"):
        marker.unlink()
    first = project.engine(id)
    eventually(lambda: list(project.folder.glob("loaded-*")), 30)
    second = project.engine(id)
    assert second.wait() == 3
    assert "belongs to another process" in second.err or "was not started" in second.err
    assert len(list(project.folder.glob("loaded-*"))) == 1
    (project.folder / "release").touch()
    assert first.wait() == 0
    assert state_name(project, id) == "Completed"


STUBBORN = """
import subprocess, sys, time, pathlib
from headway import flow, task
@task
def sleeps():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    pathlib.Path("child").write_text(str(child.pid))
    while True:
        try:
            time.sleep(600)
        except Exception:
            pass
@flow({options})
def stubborn():
    sleeps()
"""


def test_a_flow_that_overruns_its_limit_is_timed_out_and_its_process_ends(project: Project, unique: Unique) -> None:
    source = STUBBORN.replace("{options}", "timeout_seconds=1")
    id = project.run(project.deploy(source, "stubborn", unique("stubborn")))
    engine = project.engine(id)
    eventually(lambda: (project.folder / "child").exists(), 30)
    started = time.monotonic()
    engine.wait(30)
    assert time.monotonic() - started < 15
    assert state_name(project, id) == "TimedOut"
    child = int((project.folder / "child").read_text())
    eventually(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie", 60)


def test_a_cancelled_run_that_gets_the_signal_is_cancelled_and_runs_its_hooks(project: Project, unique: Unique) -> None:
    source = """
import time, pathlib
from headway import flow, task
@task
def sleeps():
    pathlib.Path("sleeping").touch()
    time.sleep(600)
@flow(on_cancellation=[lambda f, r, s: pathlib.Path("hooked").write_text(s.name)])
def cancels():
    sleeps()
"""
    id = project.run(project.deploy(source, "cancels", unique("cancels")))
    engine = project.engine(id)
    eventually(lambda: (project.folder / "sleeping").exists(), 30)
    project.history.client.set_flow_run_state(id, StateCreate(type=StateType.CANCELLING))
    engine.process.terminate()
    assert engine.wait() == -signal.SIGTERM
    assert state_name(project, id) == "Cancelled"
    assert (project.folder / "hooked").read_text() == "Cancelled"
    (task_run,) = project.history.task_runs(id, 1)
    assert task_run.state_name in ("Crashed", "Cancelled")


@pytest.fixture
def impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, history_of: Any) -> Iterator[Project]:
    """A project on a server of its own whose leases live one second."""
    folder = tmp_path / "impatient"
    folder.mkdir()
    with Place(tmp_path / "server") as place:
        place.server(server_lease_ttl_seconds=1, server_lease_reaper_seconds=0.1)
        monkeypatch.setenv("HEADWAY_API_URL", str(place.url))
        monkeypatch.setenv("HEADWAY_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("HEADWAY_SERVER_LEASE_RENEW_SECONDS", "0.2")
        with history_of(place.url) as history:
            made = Project(folder, history)
            yield made
            for engine in made.engines:
                engine.end()


def test_an_engine_that_was_given_up_ends_with_all_it_started(impatient: Project, unique: Unique) -> None:
    project = impatient
    id = project.run(project.deploy(STUBBORN.replace("{options}", ""), "stubborn", unique("stubborn")))
    engine = project.engine(id)
    eventually(lambda: (project.folder / "child").exists(), 30)
    engine.process.send_signal(signal.SIGSTOP)
    eventually(lambda: state_name(project, id) == "Crashed", 30)
    engine.process.send_signal(signal.SIGCONT)
    assert engine.wait(30) == 3
    assert "belongs to another process now" in engine.err
    child = int((project.folder / "child").read_text())
    eventually(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie", 60)


def test_a_script_whose_run_was_given_up_stops(impatient: Project, unique: Unique) -> None:
    path = impatient.folder / "script.py"
    path.write_text(f"""
import time
from headway import flow
from headway.core.errors import CancelledRun
@flow(name={unique("asleep")!r})
def asleep():
    print("asleep", flush=True)
    time.sleep(600)
try:
    asleep()
except CancelledRun as error:
    print(error)
""")
    script = subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert script.stdout is not None
        assert script.stdout.readline() == "asleep\n"
        script.send_signal(signal.SIGSTOP)
        eventually(lambda: impatient.history.run(unique("asleep")).state_name == "Crashed", 30)
        script.send_signal(signal.SIGCONT)
        out, _ = script.communicate(timeout=30)
    finally:
        script.kill()
        script.wait()
    assert script.returncode == 0
    assert "has ended" in out
    assert impatient.history.run(unique("asleep")).state_name == "Crashed"


@pytest.mark.parametrize("kind", ["sync", "async", "sync in the background"])
def test_a_script_whose_run_is_cancelled_stops_with_what_it_started(
    history: Any, unique: Unique, tmp_path: Path, kind: str
) -> None:
    call = "asyncio.run(hangs_too())" if kind == "async" else "hangs()"
    # What a shell without job control does to `python script.py &`: interrupts do not arrive.
    first = "signal.signal(signal.SIGINT, signal.SIG_IGN)" if "background" in kind else ""
    path = tmp_path / "script.py"
    path.write_text(f"""
import asyncio, signal, subprocess, sys, time
{first}
from headway import flow, task
from headway.core.errors import CancelledRun
@task
def sleeps():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("asleep", flush=True)
    time.sleep(600)
@flow(name={unique("hangs")!r})
def hangs():
    sleeps()
@flow(name={unique("hangs")!r})
async def hangs_too():
    future = sleeps.submit()
    await future
try:
    {call}
except CancelledRun as error:
    print(error)
""")
    script = subprocess.Popen(
        [sys.executable, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "HEADWAY_SERVER_LEASE_RENEW_SECONDS": "0.2"},
    )
    try:
        assert script.stdout is not None
        assert script.stdout.readline() == "asleep\n"
        (child,) = psutil.Process(script.pid).children()
        history.client.set_flow_run_state(history.run(unique("hangs")).id, StateCreate(type=StateType.CANCELLING))
        out, _ = script.communicate(timeout=30)
    finally:
        script.kill()
        script.wait()
    assert (script.returncode, out) == (0, "The run was cancelled.\n")
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    run = history.run(unique("hangs"))
    assert run.state_name == "Cancelled"
    (task_run,) = history.task_runs(run.id, 1)
    assert task_run.state_name in ("Crashed", "Cancelled")


def test_a_script_with_a_sync_flow_over_its_limit_ends(history: Any, unique: Unique, tmp_path: Path) -> None:
    path = tmp_path / "slow.py"
    path.write_text(f"""
import subprocess, sys, time
from headway import flow, task
@task
def sleeps():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(child.pid, flush=True)
    time.sleep(600)
@flow(name={unique("slow")!r}, timeout_seconds=1)
def slow():
    sleeps.submit().result()
slow()
""")
    script = subprocess.Popen(
        [sys.executable, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert script.stdout is not None
    child = int(script.stdout.readline())
    _, err = script.communicate(timeout=30)
    assert script.returncode == 1
    assert "exceeded its time limit of 1 second(s)" in err
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    assert history.run(unique("slow")).state_name == "TimedOut"


def test_flow_retries_happen_within_the_process(project: Project, unique: Unique) -> None:
    source = """
from headway import flow, runtime
@flow(retries=2)
def flaky():
    if runtime.flow_run.run_count < 3:
        raise ValueError("again")
"""
    id = project.run(project.deploy(source, "flaky", unique("flaky")))
    assert project.engine(id).wait() == 0
    run = project.history.client.read_flow_run(id)
    assert (run.state_name, run.run_count) == ("Completed", 3)


def test_a_suspended_run_starts_anew_with_its_typed_input(project: Project, unique: Unique) -> None:
    from headway import resume_flow_run

    source = """
from headway import flow, suspend_flow_run
@flow(persist_result=True)
def asks():
    return suspend_flow_run(int) + 1
"""
    id = project.run(project.deploy(source, "asks", unique("asks")))
    assert project.engine(id).wait() == 0
    assert state_name(project, id) == "Suspended"
    resume_flow_run(id, 5)
    assert state_name(project, id) == "Resuming"
    project.history.client.set_flow_run_state(id, StateCreate(type=StateType.PENDING))
    assert project.engine(id).wait() == 0
    from headway import state_of

    assert state_of(project.history.client.read_flow_run(id)).result() == 6


def test_serve_runs_what_is_due_and_stops_what_is_cancelled(project: Project, unique: Unique) -> None:
    source = f"""
import time, pathlib
from headway import flow
@flow(name={unique("served")!r})
def served(hold: bool = False):
    pathlib.Path("held" if hold else "ran").touch()
    while hold:
        time.sleep(600)
if __name__ == "__main__":
    served.serve("here", limit=2)
"""
    (project.folder / "served.py").write_text(source)
    runner = subprocess.Popen(
        [sys.executable, "served.py"], cwd=project.folder, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    try:
        assert runner.stdout is not None
        assert f"Serving {unique('served')}/here" in runner.stdout.readline()
        client = project.history.client
        deployment = client.read_deployment_by_name(f"{unique('served')}/here")
        assert deployment.entrypoint == "served.py:served"
        quick = client.create_flow_run_from_deployment(deployment.id)
        held = client.create_flow_run_from_deployment(deployment.id, parameters={"hold": True})
        eventually(lambda: state_name(project, quick.id) == "Completed", 60)
        eventually(lambda: (project.folder / "held").exists(), 60)
        client.set_flow_run_state(held.id, StateCreate(type=StateType.CANCELLING))
        eventually(lambda: state_name(project, held.id) == "Cancelled", 30)
    finally:
        runner.terminate()
        runner.communicate(timeout=30)
    assert client.read_deployment(deployment.id).paused
