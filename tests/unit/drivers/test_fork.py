"""Warm starts with real processes: the public suite, and what a forked run must and must not inherit."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from headway.drivers.base import Driver, DriverContext, Handle, Job
from headway.drivers.process import Process, ProcessDriver
from headway.testing.driver_suite import DriverSuite, Scripts, inherited_environment, lines
from headway.testing.forked_script import MODULES, SCRIPT
from headway.testing.waiting import eventually_async

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="warm starts are for Linux")


class ScriptDriver(ProcessDriver):
    engine = "headway.testing.forked_script"


def job_of(script: str, **changes: Any) -> Job:
    fields: dict[str, Any] = {
        "flow_run_id": uuid4(),
        "attempt": 1,
        "name": "brave-otter",
        "pool": "suite",
        "configuration": Process(),
        "env": inherited_environment(),
    }
    given = {**fields, **changes}
    return Job(**{**given, "env": {**given["env"], SCRIPT: script, "PYTHONUNBUFFERED": "1"}})


class TestForkedRuns(DriverSuite):
    def make_driver(self, home: Path) -> Driver:
        return ScriptDriver(DriverContext(home=home, pool=self.pool))

    def make_job(self, script: str, **changes: Any) -> Job:
        return job_of(script, **changes)

    def make_broken_job(self) -> Job | None:
        return self.make_job("", configuration=Process(working_dir="/no/such/folder/anywhere"))

    async def output(self, driver: Driver, job: Job) -> list[str]:
        """What a run that must end well has written."""
        handle = await driver.start(job)
        written = [line.text for line in await lines(driver, handle)]
        assert (await driver.watch(handle)).exit_code == 0, written
        return written

    def preloading(self, folder: Path, script: str, *modules: str) -> Job:
        """A run from a template of its own, which has imported these modules of the folder."""
        env = {**inherited_environment(), MODULES: str(folder)}
        return self.make_job(script, env=env, configuration=Process(preload=list(modules)))

    # -- what a run is born with

    def test_a_run_is_like_a_process_that_was_just_started(self, tmp_path: Path) -> None:
        folder = tmp_path / "project"
        folder.mkdir()
        script = """
import gc, json, os, random, signal, sys, threading
print(json.dumps({
    "environment": dict(os.environ), "folder": os.getcwd(), "path": sys.path[0], "arguments": sys.argv,
    "leader": os.getsid(0) == os.getpgrp() == os.getpid(), "umask": os.umask(0), "threads": threading.active_count(),
    "signals": [int(signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)],
    "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "blocked": [int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
    "open": sorted({os.readlink(f"/proc/self/fd/{n}").partition(":")[0] for n in os.listdir("/proc/self/fd")
                    if int(n) > 2 and os.path.exists(f"/proc/self/fd/{n}")}),
    "main": sys.modules["__main__"].__spec__.name, "random": random.random(), "collects": gc.isenabled(),
    "warm": "headway.drivers.process.template" in sys.modules,
}))
"""
        umask = os.umask(0)
        os.umask(umask)

        async def test(driver: Driver) -> None:
            job = self.make_job(script, configuration=Process(working_dir=str(folder), env={"A": "1"}), root="/")
            first = json.loads((await self.output(driver, job))[0])
            second = json.loads((await self.output(driver, self.make_job(script)))[0])
            assert first.pop("random") != second["random"]
            environment = first.pop("environment")
            assert environment["PYTHONUNBUFFERED"] == "1"
            assert SCRIPT not in environment
            assert environment.keys() <= os.environ.keys() | {"PYTHONUNBUFFERED", "LC_CTYPE"}
            module = sys.modules[ScriptDriver.engine]
            assert first == {
                "folder": str(folder),
                "path": str(folder),
                "arguments": [module.__file__],
                "leader": True,
                "umask": umask,
                "threads": 1,
                "signals": [0, 0, 0],
                "interrupt": True,
                "blocked": [],
                "open": [],
                "main": ScriptDriver.engine,
                "collects": True,
                "warm": True,
            }

        self.run(tmp_path, test)

    def test_a_signal_handler_of_a_preloaded_module_is_not_the_runs(self, tmp_path: Path) -> None:
        (tmp_path / "signal_user.py").write_text(
            "import signal\nsignal.signal(signal.SIGUSR1, print)\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        )
        script = (
            "import signal, sys\nprint('signal_user' in sys.modules, int(signal.getsignal(signal.SIGUSR1)), "
            "signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
        )

        async def test(driver: Driver) -> None:
            assert await self.output(driver, self.preloading(tmp_path, script, "signal_user")) == ["True 0 True"]

        self.run(tmp_path, test)

    def test_exit_handlers_run_once_and_only_where_they_were_made(self, tmp_path: Path) -> None:
        book = tmp_path / "book"
        (tmp_path / "atexit_user.py").write_text(
            f"import atexit, tempfile\natexit.register(lambda: open({str(book)!r}, 'a').write('template '))\n"
            "folder = tempfile.TemporaryDirectory()\n"
        )
        script = (
            "import atexit, threading, time, atexit_user, tempfile, weakref\n"
            "atexit.register(print, 'handler')\n"
            "own = tempfile.TemporaryDirectory()\n"
            "print(atexit_user.folder.name, own.name)\n"
            "threading.Thread(target=lambda: (time.sleep(0.05), print('thread'))).start()\n"
        )

        async def test(driver: Driver) -> None:
            for _ in range(2):
                names, *rest = await self.output(driver, self.preloading(tmp_path, script, "atexit_user"))
                assert rest == ["thread", "handler"]
                shared, own = names.split()
                assert Path(shared).is_dir()
                assert not Path(own).exists()
            assert not book.exists()
            await driver.close()
            assert book.read_text() == "template "
            assert not Path(shared).exists()

        self.run(tmp_path, test)

    def test_a_run_may_have_processes_of_its_own(self, tmp_path: Path) -> None:
        script = """
import multiprocessing, os, subprocess, sys
for way in ("spawn", "fork"):
    with multiprocessing.get_context(way).Pool(1) as pool:
        print(way, pool.map(abs, [-1, -2]))
print(subprocess.run([sys.executable, "-S", "-c", "print('child')"], capture_output=True, text=True).stdout.strip())
"""

        async def test(driver: Driver) -> None:
            assert await self.output(driver, self.make_job(script)) == ["spawn [1, 2]", "fork [1, 2]", "child"]

        self.run(tmp_path, test)

    def test_what_a_process_reads_only_at_its_start_is_in_force(self, tmp_path: Path) -> None:
        env = {**inherited_environment(), "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
        script = "import time, sys; print(hash('x'), time.tzname[0], sys.flags.hash_randomization)"
        fresh = subprocess.check_output([sys.executable, "-c", script], env={**os.environ, **env}, text=True)

        async def test(driver: Driver) -> None:
            assert await self.output(driver, self.make_job(script, env=env)) == [fresh.strip()]

        self.run(tmp_path, test)

    # -- templates that are no good, or no more

    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            (
                "import threading\nthreading.Thread(target=threading.Event().wait, name='pump', daemon=True).start()",
                "pump",
            ),
            ("import socket\nkept = socket.socket()", "connection"),
            ("import os\nos.environ['LEFT_BEHIND'] = '1'", "LEFT_BEHIND"),
            ("import no_such_module_anywhere", "no_such_module_anywhere"),
            ("raise SystemExit(3)", "SystemExit"),
        ],
    )
    def test_an_unfit_template_is_not_used_and_that_is_said_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, source: str, reason: str
    ) -> None:
        (tmp_path / "unfit_module.py").write_text(source)
        script = "import sys; print('unfit_module' in sys.modules)"

        async def test(driver: Driver) -> None:
            for _ in range(2):
                assert await self.output(driver, self.preloading(tmp_path, script, "unfit_module")) == ["False"]

        with caplog.at_level(logging.INFO):
            self.run(tmp_path, test)
        said = [record.getMessage() for record in caplog.records if record.name == "headway.worker"]
        assert len(said) == 1
        assert said[0].startswith("Runs are spawned, not forked from a warm template")
        assert reason in said[0]

    def test_a_preloaded_module_that_changed_is_loaded_anew_also_with_the_same_size_and_time(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "preloaded_helper.py"
        script = "import preloaded_helper; print(preloaded_helper.VALUE)"

        async def test(driver: Driver) -> None:
            for value in (1, 2, 3):
                path.write_text(f"VALUE = {value}")
                os.utime(path, (1_700_000_000, 1_700_000_000))
                for _ in range(2):
                    job = self.preloading(tmp_path, script, "preloaded_helper")
                    assert await self.output(driver, job) == [str(value)]

        self.run(tmp_path, test)

    def test_a_template_that_dies_is_replaced_and_its_runs_go_on(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            await driver.prepare()
            before = await driver.start(self.make_job(Scripts.forever))
            (template,) = templates_of(os.getpid())
            template.kill()
            assert await self.output(driver, self.make_job("print('after')")) == ["after"]
            (replaced,) = templates_of(os.getpid())
            assert replaced.pid != template.pid
            await driver.stop(before, 5)
            assert (await driver.watch(before)).signal == signal.SIGTERM

        self.run(tmp_path, test)

    def test_runs_outlive_a_killed_worker_and_the_next_one_has_their_output_and_exit_status(
        self, tmp_path: Path
    ) -> None:
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        worker = subprocess.Popen(
            [sys.executable, __file__, str(tmp_path), str(gate)], stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        handle = Handle.from_json(json.loads(worker.stdout.readline()))
        (template,) = templates_of(worker.pid)
        worker.kill()
        worker.wait()
        worker.stdout.close()

        async def test(driver: Driver) -> None:
            assert await driver.find(self.pool) == [handle]
            await eventually_async(lambda: asyncio.sleep(0, not template.is_running()))
            watching = asyncio.create_task(driver.watch(handle))
            await asyncio.to_thread(gate.write_text, "go")
            assert (await watching).exit_code == 5
            assert [line.text for line in await lines(driver, handle)] == ["before", "after go"]
            await driver.release(handle)

        self.run(tmp_path, test)

    def test_a_command_of_ones_own_is_spawned(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            command = (sys.executable, "-S", "-c", "import sys; print('headway' in sys.modules)")
            assert await self.output(driver, self.make_job("", command=command)) == ["False"]
            assert templates_of(os.getpid()) == []

        self.run(tmp_path, test)

    def test_no_template_is_kept_for_a_pool_that_starts_its_runs_otherwise(self, tmp_path: Path) -> None:
        async def test() -> None:
            driver = ScriptDriver(DriverContext(home=tmp_path, pool="x", defaults={"isolation": "spawn"}))
            await driver.prepare()
            assert templates_of(os.getpid()) == []
            await driver.close()

        asyncio.run(test())


def templates_of(pid: int) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(pid).children()
        if child.status() != psutil.STATUS_ZOMBIE and "headway.drivers.process.template" in child.cmdline()
    ]


async def be_a_worker(home: Path, gate: str) -> None:
    """Start a run that waits for the gate, say its handle, and wait to be killed."""
    driver = ScriptDriver(DriverContext(home=home, pool="suite"))
    handle = await driver.start(
        job_of(f"print('before'); said = open({gate!r}).read(); print('after', said); raise SystemExit(5)")
    )
    sys.stdout.write(json.dumps(handle.to_json()) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(be_a_worker(Path(sys.argv[1]), sys.argv[2]))
