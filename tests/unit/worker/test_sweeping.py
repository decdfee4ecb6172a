"""Infrastructure that nobody owns is ended by whoever can reach it; what somebody owns is left alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from headway.drivers.base import DriverContext, Handle, Job
from headway.testing.fake_driver import Fake, FakeDriver, FakeInfrastructure
from headway.testing.scripted_plane import ScriptedControlPlane
from headway.wire.flow_runs import FlowRun
from headway.wire.states import StateType
from headway.worker.memory import AttemptRecord, Memory
from headway.worker.sweeping import FAREWELL_SECONDS, Sweeper, is_over

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def run_in(state: StateType, attempt: int = 1, ended: float | None = None, id: UUID | None = None) -> FlowRun:
    return FlowRun(
        id=id or uuid4(),
        created=NOW,
        updated=NOW,
        name="n",
        flow_id=uuid4(),
        state_type=state,
        attempt=attempt,
        end_time=None if ended is None else NOW - timedelta(seconds=ended),
    )


@pytest.mark.parametrize(
    ("run", "over"),
    [
        (run_in(StateType.RUNNING), False),
        (run_in(StateType.PENDING), False),
        (run_in(StateType.SCHEDULED), False),
        (run_in(StateType.RUNNING, attempt=2), True),
        (run_in(StateType.CRASHED, ended=0), True),
        (run_in(StateType.CANCELLED, ended=0), True),
        (run_in(StateType.COMPLETED, ended=1), False),
        (run_in(StateType.COMPLETED, ended=FAREWELL_SECONDS + 1), True),
        (run_in(StateType.FAILED, ended=FAREWELL_SECONDS + 1), True),
    ],
    ids=lambda value: f"{value.state_type}-{value.attempt}" if isinstance(value, FlowRun) else str(value),
)
def test_a_process_is_over_when_its_attempt_is(run: FlowRun, over: bool) -> None:
    assert is_over(run, 1, NOW) is over


def sweep(home: Path, run: FlowRun | None, *, mine: bool = False, theirs: Memory | None = None) -> tuple[int, int]:
    """How many were ended, and how many jobs are left, after one sweep over one living job."""

    async def main() -> tuple[int, int]:
        infrastructure = FakeInfrastructure()
        driver = FakeDriver(DriverContext(home=home, pool="p"), infrastructure)
        plane, memory = ScriptedControlPlane(), Memory(home, "p", "me")
        handle = await driver.start(job(run.id if run else uuid4()))
        if run is not None:
            plane.runs[run.id] = run
        if theirs is not None:
            theirs.keep(record(handle))
        ended = await Sweeper(plane, driver, memory, "p", 0, lambda *_: mine).sweep()
        memory.close(clean=True)
        for left in infrastructure.jobs.values():
            left.kill(9)
        return ended, len(infrastructure.jobs)

    return asyncio.run(main())


def job(run: UUID) -> Job:
    return Job(flow_run_id=run, attempt=1, name="n", pool="p", configuration=Fake(sleep=600))


def record(handle: Handle) -> AttemptRecord:
    return AttemptRecord(
        flow_run_id=handle.flow_run_id,
        attempt=handle.attempt,
        token="t",
        name="n",
        grace_seconds=0,
        echo=False,
        handle=handle.to_json(),
        offsets={},
    )


def test_what_is_left_of_an_ended_attempt_is_stopped_and_released(tmp_path: Path) -> None:
    assert sweep(tmp_path, run_in(StateType.RUNNING, attempt=2)) == (1, 0)


def test_what_belongs_to_a_run_that_was_deleted_is_stopped(tmp_path: Path) -> None:
    assert sweep(tmp_path, None) == (1, 0)


def test_a_running_attempt_is_left_alone_although_its_worker_is_gone(tmp_path: Path) -> None:
    assert sweep(tmp_path, run_in(StateType.RUNNING)) == (0, 1)


def test_what_this_or_another_living_worker_holds_is_left_to_it(tmp_path: Path) -> None:
    over = run_in(StateType.CRASHED, ended=0)
    assert sweep(tmp_path, over, mine=True) == (0, 1)
    other = Memory(tmp_path, "p", "other")
    assert sweep(tmp_path, over, theirs=other) == (0, 1)
    other.close(clean=False)
    assert sweep(tmp_path, over) == (1, 0)
