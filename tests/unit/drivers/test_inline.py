"""Isolation `inline`: runs as threads of the worker's process. The engine is stood in for by a function."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from headway.core.errors import StartFailed
from headway.drivers.base import DriverContext, Job
from headway.drivers.process import Process, ProcessDriver

Engine = Callable[[Mapping[str, str]], int]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[Engine], None]:
    """Puts a function in the engine's place."""

    def put(run_inline: Engine) -> None:
        monkeypatch.setitem(sys.modules, "headway.engine", SimpleNamespace(run_inline=run_inline))

    return put


def job(**fields: Any) -> Job:
    given = {"flow_run_id": uuid4(), "attempt": 1, "name": "n", "pool": "p", **fields}
    return Job(configuration=Process(isolation="inline"), **given)


def driver(home: Path) -> ProcessDriver:
    return ProcessDriver(DriverContext(home=home, pool="p"))


def test_the_engine_runs_in_this_process_with_the_runs_environment(
    tmp_path: Path, engine: Callable[[Engine], None]
) -> None:
    seen: list[str] = []

    def run(env: Mapping[str, str]) -> int:
        seen.append(env["HEADWAY_FLOW_RUN_ID"])
        return 4

    engine(run)

    async def main() -> None:
        inline = driver(tmp_path)
        handle = await inline.start(job(env={"HEADWAY_FLOW_RUN_ID": "the run"}))
        assert (await inline.watch(handle)).exit_code == 4
        assert [line async for line in inline.logs(handle, {})] == []
        assert inline.reaches(handle)
        await inline.release(handle)
        assert not inline.reaches(handle)

    asyncio.run(main())
    assert seen == ["the run"]
    assert not list(tmp_path.iterdir())


def test_an_engine_that_raises_is_an_exit_code_with_the_reason(
    tmp_path: Path, engine: Callable[[Engine], None]
) -> None:
    def run(env: Mapping[str, str]) -> int:
        raise ValueError("no such flow")

    engine(run)

    async def main() -> None:
        inline = driver(tmp_path)
        outcome = await inline.watch(await inline.start(job()))
        assert outcome.exit_code == 1
        assert "no such flow" in outcome.message

    asyncio.run(main())


def test_stopping_interrupts_python_code(tmp_path: Path, engine: Callable[[Engine], None]) -> None:
    def run(env: Mapping[str, str]) -> int:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.01)
        return 0

    engine(run)

    async def main() -> None:
        inline = driver(tmp_path)
        same = job()
        handle = await inline.start(same)
        assert await inline.start(same) == handle
        assert await inline.find("p") == [handle]
        assert await inline.locate(same.flow_run_id, 1) == handle
        await inline.stop(handle, 10)
        await inline.stop(handle, 10)
        assert (await inline.watch(handle)).signal == 15
        assert await inline.find("p") == []

    asyncio.run(main())


def test_a_blocking_call_that_cannot_be_interrupted_is_left_behind(
    tmp_path: Path, engine: Callable[[Engine], None]
) -> None:
    release = threading.Event()

    def run(env: Mapping[str, str]) -> int:
        release.wait(60)
        return 0

    engine(run)

    async def main() -> None:
        inline = driver(tmp_path)
        handle = await inline.start(job())
        await inline.stop(handle, 0.05)
        assert (await inline.watch(handle)).reason == "abandoned"
        release.set()

    asyncio.run(main())


def test_another_worker_does_not_reach_it(tmp_path: Path, engine: Callable[[Engine], None]) -> None:
    engine(lambda env: 0)

    async def main() -> None:
        inline = driver(tmp_path)
        handle = await inline.start(job())
        assert not driver(tmp_path).reaches(handle)
        await inline.watch(handle)

    asyncio.run(main())


def test_a_command_cannot_run_inline(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(StartFailed, match="'inline' runs the engine only"):
            await driver(tmp_path).start(job(command=("make",)))

    asyncio.run(main())
