"""What every driver must do, as tests: subclass `DriverSuite` and run it against the real thing.

    class TestProcessDriver(DriverSuite):
        def make_driver(self, home): return ProcessDriver(DriverContext(home=home, pool=self.pool))
        def make_job(self, script): return Job(..., command=(sys.executable, "-c", script))

`make_job` makes a job that runs a short Python script (any interpreter >= 3.8, standard library only); a
driver whose infrastructure has no interpreter may translate the few scripts named in `Scripts`.
"""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from headway.core.errors import StartFailed
from headway.drivers.base import Driver, Handle, Job, LogLine, base_job_template, configure

__all__ = ["DriverSuite", "Scripts"]

T = TypeVar("T")


class Scripts:
    """The scripts that the suite runs."""

    nothing = "pass"
    fail = "raise SystemExit(7)"
    die = "import os; os.kill(os.getpid(), 9)"
    forever = "import time; print('ready', flush=True); time.sleep(600)"
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + forever
    speak = "import sys; print('one'); print('zwei ü'); print('three', file=sys.stderr); print('no end', end='')"
    environment = "import os; print(os.environ.get('SUITE_VALUE'))"


class DriverSuite(ABC):
    """The tests; `deadline` bounds each wait in seconds, `pool` is the pool the driver serves."""

    pool = "suite"
    deadline = 30.0

    @abstractmethod
    def make_driver(self, home: Path) -> Driver:
        """A driver as a worker makes it; called again with the same home for "another worker"."""

    @abstractmethod
    def make_job(self, script: str, **changes: Any) -> Job:
        """A new attempt of a new run that runs `script`; `changes` are fields of `Job`."""

    def make_broken_job(self) -> Job | None:
        """A job whose configuration cannot work (a command, an image that does not exist); None: no such thing."""
        return None

    def run(self, home: Path, test: Callable[[Driver], Awaitable[T]]) -> T:
        """Run a test in a loop of its own with a new driver."""

        async def main() -> T:
            driver = self.make_driver(home)
            try:
                async with asyncio.timeout(self.deadline):
                    return await test(driver)
            finally:
                await driver.close()

        return asyncio.run(main())

    # -- describing itself

    def test_the_default_template_has_a_variable_for_every_setting(self, tmp_path: Path) -> None:
        driver = self.make_driver(tmp_path)
        template = base_job_template(driver.Configuration)
        variables = template["variables"]["properties"]
        assert {"command", "env", "labels", "name"} <= set(variables)
        assert template["job_configuration"] == {name: f"{{{{ {name} }}}}" for name in variables}
        assert driver.type == driver.Configuration.type

    def test_an_empty_configuration_is_enough(self, tmp_path: Path) -> None:
        driver = self.make_driver(tmp_path)
        assert configure(driver.Configuration, {"unknown to this driver": 1, "command": None}).command is None

    def test_a_preview_masks_secrets_and_is_the_same_twice(self, tmp_path: Path) -> None:
        driver = self.make_driver(tmp_path)
        job = self.make_job(
            Scripts.nothing,
            env={"MY_PASSWORD": "hunter2", "PLAIN": "shown", "HIDDEN": "sesame"},
            secrets=frozenset({"HIDDEN"}),
        )
        shown = driver.preview(job)
        assert shown == driver.preview(job)
        assert "shown" in shown
        assert "hunter2" not in shown
        assert "sesame" not in shown
        assert not list(tmp_path.iterdir())

    # -- one job from start to end

    def test_a_job_that_ends_well_has_exit_code_zero(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            outcome = await driver.watch(await driver.start(self.make_job(Scripts.nothing)))
            assert (outcome.exit_code, outcome.signal) == (0, None)

        self.run(tmp_path, test)

    def test_the_exit_code_of_a_failure_is_told(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            assert (await driver.watch(await driver.start(self.make_job(Scripts.fail)))).exit_code == 7

        self.run(tmp_path, test)

    def test_the_signal_that_killed_a_job_is_told(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            outcome = await driver.watch(await driver.start(self.make_job(Scripts.die)))
            assert (outcome.exit_code, outcome.signal) == (None, 9)
            assert "SIGKILL" in outcome.message

        self.run(tmp_path, test)

    def test_the_environment_reaches_the_job(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            job = self.make_job(Scripts.environment)
            job = self.make_job(Scripts.environment, env={**job.env, "SUITE_VALUE": "carried"})
            handle = await driver.start(job)
            assert [line.text for line in await lines(driver, handle)] == ["carried"]

        self.run(tmp_path, test)

    def test_a_handle_survives_json(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            handle = await driver.start(self.make_job(Scripts.nothing))
            again = Handle.from_json(msgspec.json.decode(msgspec.json.encode(handle.to_json())))
            assert again == handle
            assert (await driver.watch(again)).exit_code == 0

        self.run(tmp_path, test)

    def test_a_job_that_cannot_start_says_why_and_that_trying_again_is_no_use(self, tmp_path: Path) -> None:
        broken = self.make_broken_job()
        if broken is None:
            pytest.skip("this infrastructure has no way to refuse a start")

        async def test(driver: Driver) -> None:
            with pytest.raises(StartFailed) as caught:
                await driver.watch(await driver.start(broken))
            assert not caught.value.retryable
            assert "\n" not in caught.value.message

        self.run(tmp_path, test)

    # -- repeating

    def test_starting_twice_starts_once(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            job = self.make_job(Scripts.speak)
            first, second = await asyncio.gather(driver.start(job), driver.start(job))
            await driver.watch(first)
            third = await driver.start(job)
            assert first == second == third
            assert [line.text for line in await lines(driver, first)].count("one") == 1

        self.run(tmp_path, test)

    def test_another_worker_finds_watches_and_stops_what_the_first_left(self, tmp_path: Path) -> None:
        job = self.make_job(Scripts.forever)
        handle = self.run(tmp_path, lambda driver: driver.start(job))

        async def adopt(driver: Driver) -> None:
            assert await driver.find(self.pool) == [handle]
            assert await driver.find("another pool") == []
            assert await driver.locate(job.flow_run_id, job.attempt) == handle
            assert driver.reaches(handle)
            watching = asyncio.create_task(driver.watch(handle))
            await driver.stop(handle, 5)
            assert (await watching).signal == 15
            assert await driver.find(self.pool) == []

        self.run(tmp_path, adopt)

    def test_nothing_is_located_for_an_attempt_that_never_started(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            job = self.make_job(Scripts.nothing)
            assert await driver.locate(job.flow_run_id, job.attempt) is None

        self.run(tmp_path, test)

    def test_an_ended_job_answers_until_it_is_released(self, tmp_path: Path) -> None:
        job = self.make_job(Scripts.speak)

        async def first(driver: Driver) -> Handle:
            handle = await driver.start(job)
            await driver.watch(handle)
            return handle

        handle = self.run(tmp_path, first)

        async def second(driver: Driver) -> None:
            assert (await driver.watch(handle)).exit_code == 0
            assert len(await lines(driver, handle)) == 4
            await driver.release(handle)
            await driver.release(handle)
            assert await driver.locate(job.flow_run_id, job.attempt) is None

        self.run(tmp_path, second)

    # -- stopping

    def test_stopping_is_safe_twice_and_on_what_is_gone(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            handle = await driver.start(self.make_job(Scripts.forever))
            await asyncio.gather(driver.stop(handle, 5), driver.stop(handle, 5))
            assert (await driver.watch(handle)).signal == 15
            await driver.stop(handle, 5)
            await driver.release(handle)
            await driver.stop(handle, 5)

        self.run(tmp_path, test)

    def test_a_job_that_ignores_the_request_is_killed_after_the_grace(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            handle = await driver.start(self.make_job(Scripts.stubborn))
            async for line in driver.logs(handle, {}):
                assert line.text == "ready"
                break
            await driver.stop(handle, 0.2)
            assert (await driver.watch(handle)).signal == 9

        self.run(tmp_path, test)

    # -- output

    def test_every_line_of_output_is_given_with_its_place(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            handle = await driver.start(self.make_job(Scripts.speak))
            given = {(line.stream, line.offset, line.text) for line in await lines(driver, handle)}
            assert given == {
                ("stdout", 0, "one"),
                ("stdout", 4, "zwei ü"),
                ("stdout", 12, "no end"),
                ("stderr", 0, "three"),
            }

        self.run(tmp_path, test)

    def test_output_is_given_again_from_where_a_reader_stopped(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            handle = await driver.start(self.make_job(Scripts.speak))
            everything = await lines(driver, handle)
            first = next(line for line in everything if line.stream == "stdout")
            rest = await lines(driver, handle, {"stdout": first.after, "stderr": 6})
            assert [(line.offset, line.text) for line in rest] == [(4, "zwei ü"), (12, "no end")]

        self.run(tmp_path, test)

    def test_output_is_given_while_the_job_runs(self, tmp_path: Path) -> None:
        async def test(driver: Driver) -> None:
            handle = await driver.start(self.make_job(Scripts.forever))
            async for line in driver.logs(handle, {}):
                assert line.text == "ready"
                break
            await driver.stop(handle, 5)

        self.run(tmp_path, test)


async def lines(driver: Driver, handle: Handle, after: dict[str, int] | None = None) -> list[LogLine]:
    """All the output until the job has ended."""
    return [line async for line in driver.logs(handle, after or {})]


def inherited_environment() -> dict[str, str]:
    """What a job needs of the environment to find its interpreter."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
