"""The process driver against real processes: the public suite, and what only processes have."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from headway.core.errors import DriverError, StartFailed
from headway.drivers.base import Driver, DriverContext, Handle, Job
from headway.drivers.process import Process, ProcessDriver
from headway.testing.driver_suite import DriverSuite, Scripts, inherited_environment, lines
from headway.testing.waiting import eventually_async


class TestProcessDriver(DriverSuite):
    def make_driver(self, home: Path) -> Driver:
        return ProcessDriver(DriverContext(home=home, pool=self.pool))

    def make_job(self, script: str, **changes: Any) -> Job:
        fields: dict[str, Any] = {
            "flow_run_id": uuid4(),
            "attempt": 1,
            "name": "brave-otter",
            "pool": self.pool,
            "configuration": Process(),
            "command": (sys.executable, "-S", "-c", script),
            "env": inherited_environment(),
        }
        return Job(**{**fields, **changes})

    def make_broken_job(self) -> Job | None:
        return self.make_job("", command=("no-such-command-anywhere",))

    async def first_line(self, driver: Driver, handle: Handle) -> str:
        async for line in driver.logs(handle, {}):
            return line.text
        raise AssertionError("no output")

    def test_stopping_kills_children_in_the_group_and_those_that_left_the_session(self, tmp_path: Path) -> None:
        family = (
            "import os, signal, sys, time\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "same = os.fork()\n"
            "if not same: time.sleep(600)\n"
            "left = os.fork()\n"
            "if not left:\n"
            "    os.setsid()\n"
            "    if os.fork(): os._exit(0)\n"
            "    print(os.getpid(), same, os.getppid(), flush=True)\n"
            "    time.sleep(600)\n"
            "os.waitpid(left, 0)\n"
            "time.sleep(600)\n"
        )

        async def test(driver: Driver) -> None:
            handle = await driver.start(self.make_job(family))
            daemon, same, _ = map(int, (await self.first_line(driver, handle)).split())
            assert psutil.pid_exists(daemon)
            assert psutil.pid_exists(same)
            await driver.stop(handle, 0.1)
            assert (await driver.watch(handle)).signal == signal.SIGKILL
            assert not any(alive(pid) for pid in (daemon, same, handle.data["pid"], handle.data["shim_pid"]))

        self.run(tmp_path, test)

    def test_background_children_end_with_a_run_that_was_killed(self, tmp_path: Path) -> None:
        script = "import os, time\nprint(os.fork(), flush=True)\ntime.sleep(600)"

        async def test(driver: Driver) -> None:
            handle = await driver.start(self.make_job(script))
            child = int((await self.first_line(driver, handle)).split()[0])
            os.kill(handle.data["pid"], signal.SIGKILL)
            began = time.monotonic()
            assert (await driver.watch(handle)).signal == signal.SIGKILL
            assert time.monotonic() - began < 1.0  # the issue's own bound: "within 1 s"

            async def gone() -> bool:
                return not alive(child) or child == 0

            await eventually_async(gone)

        self.run(tmp_path, test)

    @pytest.mark.parametrize("watched", [True, False])
    def test_children_of_a_run_that_was_killed_with_its_shim_are_found_and_ended(
        self, tmp_path: Path, watched: bool
    ) -> None:
        script = "import os, time\nchild = os.fork()\nif child: print(child, flush=True)\ntime.sleep(600)"

        async def test(driver: Driver) -> None:
            handle = await driver.start(self.make_job(script))
            child = int(await self.first_line(driver, handle))
            os.kill(handle.data["shim_pid"], signal.SIGKILL)
            os.kill(handle.data["pid"], signal.SIGKILL)
            if watched:
                assert (await driver.watch(handle)).reason == "lost"
            else:  # by the worker that comes after
                await eventually_async(lambda: asyncio.sleep(0, not alive(handle.data["pid"])))
                assert await driver.find(self.pool) == [handle]
                await driver.stop(handle, 1)
            await eventually_async(lambda: asyncio.sleep(0, not alive(child)))
            assert await driver.find(self.pool) == []

        self.run(tmp_path, test)

    def test_a_signal_to_the_shim_changes_nothing(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            handle = await driver.start(self.make_job(Scripts.forever))
            await self.first_line(driver, handle)
            os.kill(handle.data["shim_pid"], signal.SIGTERM)
            os.kill(handle.data["pid"], signal.SIGKILL)
            assert (await driver.watch(handle)).signal == signal.SIGKILL

        self.run(tmp_path, test)

    def test_a_run_whose_shim_was_killed_is_lost_only_once_it_has_ended_itself(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            handle = await driver.start(self.make_job(Scripts.forever))
            await self.first_line(driver, handle)
            os.kill(handle.data["shim_pid"], signal.SIGKILL)
            assert await driver.find(self.pool) == [handle]
            watching = asyncio.create_task(driver.watch(handle))
            await driver.stop(handle, 5)
            outcome = await watching
            assert (outcome.reason, outcome.exit_code, outcome.signal) == ("lost", None, None)

        self.run(tmp_path, test)

    def test_a_process_of_another_boot_is_lost_and_never_signalled(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            handle = await driver.start(self.make_job(Scripts.forever))
            earlier = Handle.from_json({**handle.to_json(), "data": {**handle.data, "boot_id": "another"}})
            assert (await driver.watch(earlier)).reason == "lost"
            await driver.stop(earlier, 0)
            assert alive(handle.data["pid"])
            await driver.stop(handle, 5)

        self.run(tmp_path, test)

    def test_a_reused_pid_is_not_taken_for_the_run(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            handle = await driver.start(self.make_job(Scripts.nothing))
            await driver.watch(handle)
            impostor = {"pid": os.getpid(), "shim_pid": os.getpid()}
            reused = Handle.from_json({**handle.to_json(), "data": {**handle.data, **impostor}})
            await driver.stop(reused, 0)
            assert (await driver.watch(reused)).exit_code == 0

        self.run(tmp_path, test)

    def test_a_process_of_another_host_is_out_of_reach(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            handle = await driver.start(self.make_job(Scripts.nothing))
            elsewhere = Handle.from_json({**handle.to_json(), "data": {**handle.data, "host": "elsewhere"}})
            assert not driver.reaches(elsewhere)
            with pytest.raises(DriverError, match="elsewhere"):
                await driver.watch(elsewhere)
            await driver.stop(elsewhere, 0)
            await driver.watch(handle)

        self.run(tmp_path, test)

    def test_a_missing_working_directory_is_named(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            job = self.make_job(Scripts.nothing, configuration=Process(working_dir=str(tmp_path / "absent")))
            with pytest.raises(StartFailed, match="absent") as caught:
                await driver.start(job)
            assert not caught.value.retryable

        self.run(tmp_path, test)

    def test_an_unwritable_home_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "attempts").write_text("a file where a folder should be")

        async def test(driver: Driver) -> None:
            with pytest.raises(StartFailed, match="attempts"):
                await driver.start(self.make_job(Scripts.nothing))

        self.run(tmp_path, test)

    @pytest.mark.parametrize("where", ["working_dir", "root", "own"])
    def test_a_run_starts_in_the_set_folder_else_the_deployments_else_its_own(self, tmp_path: Path, where: str) -> None:
        folder = tmp_path / "project"
        folder.mkdir()
        script = "import os; print(os.getcwd())"
        job = {
            "working_dir": self.make_job(script, configuration=Process(working_dir=str(folder)), root="/"),
            "root": self.make_job(script, root=str(folder)),
            "own": self.make_job(script),
        }[where]

        async def test(driver: Driver) -> None:
            handle = await driver.start(job)
            expected = folder if where != "own" else Path(handle.data["directory"]) / "work"
            assert await self.first_line(driver, handle) == str(expected.resolve())

        self.run(tmp_path, test)

    def test_the_engine_is_the_default_command_and_a_set_command_wins(self, tmp_path: Path) -> None:
        driver = self.make_driver(tmp_path)
        assert "-m headway.engine" in driver.preview(self.make_job("", command=()))
        stock = self.make_job("", command=(), configuration=Process(engine="prefect"))
        assert "-m prefect.engine" in driver.preview(stock)
        own = self.make_job("", command=(), configuration=Process(command="make 'all of it'"))
        assert "Command: make 'all of it'" in driver.preview(own)

    def test_a_long_line_is_cut_at_the_same_bytes_however_it_is_read(self, tmp_path: Path) -> None:
        script = "import sys; sys.stdout.write('x' * 150_000 + '\\nend\\n')"

        async def test(driver: Driver) -> None:
            handle = await driver.start(self.make_job(script))
            everything = await lines(driver, handle)
            assert [(line.offset, len(line.text)) for line in everything] == [
                (0, 65536),
                (65536, 65536),
                (131072, 18928),
                (150001, 3),
            ]
            assert [line.offset for line in await lines(driver, handle, {"stdout": 65536})] == [65536, 131072, 150001]

        self.run(tmp_path, test)

    def test_the_folder_of_a_released_attempt_is_gone_and_keeps_no_secret_before(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            job = self.make_job(Scripts.nothing)
            job = self.make_job(Scripts.nothing, env={**job.env, "TOKEN": "very-secret-token"})
            handle = await driver.start(job)
            await driver.watch(handle)
            folder = Path(handle.data["directory"])
            assert json.loads((folder / "exit.json").read_text())["exit_code"] == 0
            assert not any("very-secret-token" in f.read_text() for f in folder.rglob("*") if f.is_file())
            await driver.release(handle)
            assert not folder.exists()
            assert not alive(handle.data["shim_pid"])

        self.run(tmp_path, test)

    def test_a_start_that_died_half_way_is_started_by_the_next(self, tmp_path: Path) -> None:
        job = self.make_job(Scripts.nothing)
        (tmp_path / "attempts" / self.pool / job.identity).mkdir(parents=True)
        (tmp_path / "attempts" / self.pool / job.identity / "lock").touch()

        async def test(driver: Driver) -> None:
            assert await driver.locate(job.flow_run_id, job.attempt) is None
            assert (await driver.watch(await driver.start(job))).exit_code == 0

        self.run(tmp_path, test)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
