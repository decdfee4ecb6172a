"""The fake driver keeps the contract too, so that tests of the worker loop mean something."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from headway.core.errors import StartFailed
from headway.drivers.base import Driver, DriverContext, Job
from headway.testing.fake_driver import Fake, FakeDriver, FakeInfrastructure


def job(**knobs: object) -> Job:
    return Job(flow_run_id=uuid4(), attempt=1, name="n", pool="p", configuration=Fake(**knobs))  # type: ignore[arg-type]


def driver(infrastructure: FakeInfrastructure | None = None) -> FakeDriver:
    return FakeDriver(DriverContext(home=Path("unused"), pool="p"), infrastructure)


def test_it_is_a_driver() -> None:
    assert isinstance(driver(), Driver)


def test_it_ends_as_it_is_told_and_gives_its_lines() -> None:
    async def main() -> None:
        fake = driver()
        handle = await fake.start(job(exit_code=3, lines=["a", "b"]))
        assert (await fake.watch(handle)).exit_code == 3
        assert [(line.offset, line.text) async for line in fake.logs(handle, {})] == [(0, "a"), (2, "b")]
        assert (await fake.watch(await fake.start(job(oom=True)))).reason == "oom"

    asyncio.run(main())


def test_it_refuses_to_start_and_starts_nothing_twice() -> None:
    async def main() -> None:
        world = FakeInfrastructure()
        fake, other = driver(world), driver(world)
        with pytest.raises(StartFailed, match="no room"):
            await fake.start(job(refuse="no room"))
        same = job(sleep=600)
        assert await fake.start(same) == await other.start(same)
        assert len(world.started) == 1
        handle = (await other.find("p"))[0]
        await other.stop(handle, 0)
        assert (await fake.watch(handle)).signal == 15

    asyncio.run(main())
