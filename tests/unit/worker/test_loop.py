"""The loop every worker shares, against a scripted control plane and the fake driver."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from headway.core.errors import Conflict, HeadwayError, NotFound
from headway.drivers.base import DriverContext
from headway.testing.fake_driver import FakeDriver, FakeInfrastructure
from headway.testing.scripted_plane import ScriptedControlPlane
from headway.wire.states import StateType
from headway.wire.workers import Adoption, LostAttempt, StopOrder, WorkerRegister
from headway.worker.attempt import Tools
from headway.worker.jobs import RunEnvironment
from headway.worker.loop import Pace, Worker
from headway.worker.memory import AttemptRecord, Memory
from headway.worker.reporting import Reporter

PACE = Pace(poll=0.01, heartbeat=0.05, renew=0.02, stop_grace=0.0)


class Yard:
    """A plane, an infrastructure and any number of workers on them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.plane = ScriptedControlPlane()
        self.infrastructure = FakeInfrastructure()
        self.memories: list[Memory] = []
        self.said: list[str] = []

    def worker(self, name: str = "w", limit: int | None = None, queues: tuple[str, ...] = ()) -> Worker:
        memory = Memory(self.home, "p", name)
        self.memories.append(memory)
        driver = FakeDriver(DriverContext(home=self.home, pool="p"), self.infrastructure)
        registration = WorkerRegister(
            type="fake", name=name, work_queues=list(queues), limit=limit, worker_id=memory.worker_id
        )
        tools = Tools(self.plane, driver, memory, self.said.append, Reporter(self.plane, "p"))
        return Worker(tools, "p", registration, RunEnvironment("http://api", "key"), PACE)

    def running(self) -> int:
        return len([job for job in self.infrastructure.jobs.values() if job.outcome is None])


def play(home: Path, scene: Callable[[Yard], Awaitable[None]]) -> Yard:
    async def main() -> Yard:
        yard = Yard(home)
        async with asyncio.timeout(60):
            await scene(yard)
        for memory in yard.memories:
            memory.close(clean=False)
        return yard

    return asyncio.run(main())


async def drained(worker: Worker, task: asyncio.Task[None]) -> None:
    worker.drain()
    await task


def test_a_run_is_claimed_started_followed_reported_and_released(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        run = yard.plane.put(exit_code=3, lines=["hello", "", "bye"]).flow_run.id
        worker = yard.worker()
        await worker.run(once=True)
        (_, _, started), (_, attempt, ended) = yard.plane.reports
        assert yard.plane.events_of(run) == ["started", "ended"]
        assert started.infrastructure_pid == f"fake:{run}-1"
        assert started.handle is not None
        assert started.handle["type"] == "fake"
        assert (attempt, ended.token, ended.exit_code, ended.signal) == (1, "token-of-run", 3, None)
        assert [log.message for log in yard.plane.logs.values()] == ["hello", "bye"]
        assert not yard.infrastructure.jobs
        assert not yard.memories[0].attempts()

    play(tmp_path, scene)


def test_claims_are_bounded_by_the_free_part_of_the_limit(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        for number in range(5):
            yard.plane.put(f"run-{number}", sleep=600)
        worker = yard.worker(limit=3)
        task = asyncio.create_task(worker.run())
        await yard.plane.until(lambda: len(yard.plane.reports) == 3)
        await yard.plane.until(lambda: yard.plane.claims[-1].limit == 0)
        assert yard.running() == 3
        next(iter(yard.infrastructure.jobs.values())).kill(9)
        await yard.plane.until(lambda: len(yard.infrastructure.started) == 4)
        assert max(request.limit for request in yard.plane.claims) == 3
        worker.stop_runs()
        await task

    play(tmp_path, scene)


def test_the_named_queues_are_asked_for_and_none_means_all(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        await yard.worker("a", queues=("high", "low")).run(once=True)
        await yard.worker("b").run(once=True)
        assert [request.work_queue_names for request in yard.plane.claims] == [["high", "low"], []]

    play(tmp_path, scene)


def test_a_claim_whose_answer_was_lost_is_asked_again_under_the_same_id(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        run = yard.plane.put().flow_run.id
        yard.plane.away = True
        worker = yard.worker()
        task = asyncio.create_task(worker.run(once=True))
        await yard.plane.until(lambda: len(yard.plane.claims) >= 3)
        yard.plane.away = False
        await task
        assert len({request.claim_id for request in yard.plane.claims[:3]}) == 1
        assert yard.plane.events_of(run) == ["started", "ended"]

    play(tmp_path, scene)


@pytest.mark.parametrize(("for_good", "retryable"), [(False, True), (True, False)])
def test_a_start_that_fails_is_reported_with_its_reason(tmp_path: Path, for_good: bool, retryable: bool) -> None:
    async def scene(yard: Yard) -> None:
        yard.plane.put(refuse="no room", refuse_for_good=for_good)
        await yard.worker().run(once=True)
        ((_, _, report),) = yard.plane.reports
        assert (report.event, report.message, report.retryable) == ("start_failed", "no room", retryable)

    play(tmp_path, scene)


def test_a_configuration_that_does_not_fit_is_a_start_that_fails_for_good(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        yard.plane.put(sleep="long")
        await yard.worker().run(once=True)
        ((_, _, report),) = yard.plane.reports
        assert (report.event, report.retryable) == ("start_failed", False)
        assert "sleep" in (report.message or "")

    play(tmp_path, scene)


def test_held_attempts_are_renewed_in_one_call_and_told_in_heartbeats(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        runs = {yard.plane.put(f"run-{number}", sleep=600).flow_run.id for number in range(2)}
        worker = yard.worker()
        task = asyncio.create_task(worker.run())
        await yard.plane.until(lambda: any(len(r.attempts) == 2 for r in yard.plane.renewals))
        await yard.plane.until(lambda: any(set(h.flow_run_ids or []) == runs for h in yard.plane.heartbeats))
        assert {ref.token for ref in yard.plane.renewals[-1].attempts} == {"token-of-run-0", "token-of-run-1"}
        worker.stop_runs()
        await task

    play(tmp_path, scene)


def test_a_stop_order_ends_the_infrastructure_and_the_end_is_reported(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        run = yard.plane.put(sleep=600).flow_run.id
        worker = yard.worker()
        task = asyncio.create_task(worker.run())
        await yard.plane.until(lambda: yard.plane.events_of(run) == ["started"])
        order = StopOrder(flow_run_id=run, attempt=1, grace_seconds=0, reason="cancelled")
        stale = StopOrder(flow_run_id=run, attempt=7, grace_seconds=0, reason="another attempt")
        yard.plane.stop = [stale, order, order]
        await yard.plane.until(lambda: yard.plane.events_of(run) == ["started", "ended"])
        assert yard.plane.reports[-1][2].signal == 15
        await drained(worker, task)

    play(tmp_path, scene)


def test_an_attempt_that_was_lost_is_stopped_without_a_report(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        run = yard.plane.put(sleep=600).flow_run.id
        worker = yard.worker()
        task = asyncio.create_task(worker.run())
        await yard.plane.until(lambda: yard.plane.events_of(run) == ["started"])
        yard.plane.lost = [LostAttempt(flow_run_id=run, attempt=1)]
        await yard.plane.until(lambda: not yard.infrastructure.jobs)
        assert yard.plane.events_of(run) == ["started"]
        await drained(worker, task)

    play(tmp_path, scene)


def test_an_attempt_that_another_worker_adopted_is_let_go_of_and_runs_on(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        claim = yard.plane.put(sleep=600)
        run = claim.flow_run.id
        worker = yard.worker()
        task = asyncio.create_task(worker.run())
        await yard.plane.until(lambda: yard.plane.events_of(run) == ["started"])
        claim.flow_run.attempt, claim.flow_run.state_type = 1, StateType.RUNNING
        yard.plane.lost = [LostAttempt(flow_run_id=run, attempt=1)]
        await yard.plane.until(lambda: not worker.flow_run_ids)
        assert yard.running() == 1
        assert not yard.memories[0].attempts()
        await drained(worker, task)
        assert yard.plane.events_of(run) == ["started"]

    play(tmp_path, scene)


def test_reports_and_output_are_kept_while_the_server_is_away(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        run = yard.plane.put(sleep=600, lines=["a", "b"]).flow_run.id
        worker = yard.worker()
        task = asyncio.create_task(worker.run())
        await yard.plane.until(lambda: yard.plane.events_of(run) == ["started"])
        yard.plane.away = True
        yard.infrastructure.jobs[(run, 1)].kill(9)
        failed = len(yard.plane.claims)
        await yard.plane.until(lambda: len(yard.plane.claims) > failed + 5)
        assert yard.plane.events_of(run) == ["started"]
        yard.plane.away = False
        await drained(worker, task)
        assert yard.plane.events_of(run) == ["started", "ended"]
        assert sorted(log.message for log in yard.plane.logs.values()) == ["a", "b"]

    play(tmp_path, scene)


def test_a_worker_that_died_goes_on_under_the_same_name_with_the_same_id(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        run = yard.plane.put(sleep=600, lines=["only once"]).flow_run.id
        first = asyncio.create_task(yard.worker().run())
        await yard.plane.until(lambda: yard.plane.events_of(run) == ["started"])
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert yard.running() == 1
        yard.memories[0].close(clean=False)

        second = yard.worker()
        assert yard.memories[0].worker_id == yard.memories[1].worker_id
        task = asyncio.create_task(second.run())
        await yard.plane.until(lambda: len(yard.plane.renewals) > 2)
        yard.infrastructure.jobs[(run, 1)].kill(9)
        await drained(second, task)
        assert yard.plane.events_of(run)[-1] == "ended"
        assert yard.infrastructure.started == [(run, 1)]
        assert [log.message for log in yard.plane.logs.values()] == ["only once"]

    play(tmp_path, scene)


def test_what_was_claimed_but_never_started_is_given_back_by_the_next_incarnation(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        claim = yard.plane.put()
        dying = yard.worker()
        memory = yard.memories[0]
        await dying.run(once=True)
        record = {"flow_run_id": claim.flow_run.id, "attempt": 2, "token": "t2", "name": "n", "grace_seconds": 0.0}
        keep(memory, record)
        memory.close(clean=False)
        await yard.worker().run(once=True)
        assert yard.plane.events_of(claim.flow_run.id)[-1] == "released"
        assert yard.plane.reports[-1][2].token == "t2"

    play(tmp_path, scene)


def keep(memory: Memory, fields: dict[str, Any]) -> None:
    memory.keep(AttemptRecord(**fields, echo=False, handle=None, offsets={}))


def test_attempts_of_a_silent_worker_are_adopted_if_they_are_within_reach(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        run = yard.plane.put(sleep=600).flow_run.id
        first = asyncio.create_task(yard.worker("first").run())
        await yard.plane.until(lambda: yard.plane.events_of(run) == ["started"])
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        handle = yard.plane.reports[-1][2].handle
        assert handle is not None
        elsewhere = {**handle, "flow_run_id": str(UUID(int=7))}
        yard.plane.adopt = [
            Adoption(flow_run_id=run, attempt=1, token="new", handle=handle, worker_name="first"),
            Adoption(flow_run_id=UUID(int=7), attempt=1, token="x", handle=elsewhere, worker_name="first"),
            Adoption(flow_run_id=UUID(int=8), attempt=1, token="x", handle={}, worker_name="first"),
        ]
        second = yard.worker("second")
        task = asyncio.create_task(second.run())
        await yard.plane.until(lambda: any(r.attempts[0].token == "new" for r in yard.plane.renewals))
        assert second.flow_run_ids == [run]
        assert not yard.memories[0].attempts()
        yard.infrastructure.jobs[(run, 1)].kill(9)
        await drained(second, task)
        assert yard.plane.reports[-1][2].token == "new"
        assert yard.plane.reports[-1][2].signal == 9

    play(tmp_path, scene)


def test_an_adopted_attempt_that_was_cancelled_meanwhile_is_stopped(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        run = yard.plane.put(sleep=600).flow_run.id
        first = asyncio.create_task(yard.worker("first").run())
        await yard.plane.until(lambda: yard.plane.events_of(run) == ["started"])
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        handle = yard.plane.reports[-1][2].handle
        assert handle is not None
        yard.plane.adopt = [
            Adoption(flow_run_id=run, attempt=1, token="n", handle=handle, worker_name="first", cancelling=True)
        ]
        await yard.worker("second").run(once=True)
        assert yard.plane.reports[-1][2].signal == 15

    play(tmp_path, scene)


def test_draining_takes_no_new_work_and_waits(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        run = yard.plane.put(sleep=600).flow_run.id
        worker = yard.worker()
        task = asyncio.create_task(worker.run())
        await yard.plane.until(lambda: yard.plane.events_of(run) == ["started"])
        worker.drain()
        waiting = yard.plane.put("later")
        seen = len(yard.plane.claims)
        await yard.plane.until(lambda: len(yard.plane.claims) > seen + 3)
        assert not task.done()
        assert yard.plane.waiting == [waiting]
        yard.infrastructure.jobs[(run, 1)].kill(9)
        await task

    play(tmp_path, scene)


def test_a_worker_that_the_server_forgot_registers_again(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        yard.plane.refusal = NotFound("No worker with this id.")
        worker = yard.worker()
        task = asyncio.create_task(worker.run())
        await yard.plane.until(lambda: bool(yard.plane.registrations))
        yard.plane.refusal = None
        await drained(worker, task)

    play(tmp_path, scene)


def test_a_refusal_that_will_not_change_ends_the_worker(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        yard.plane.refusal = Conflict("Pool is of another type now.")
        with pytest.raises(HeadwayError, match="another type"):
            await yard.worker().run()

    play(tmp_path, scene)


def test_output_is_echoed_only_if_the_configuration_says_so(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        yard.plane.put(lines=["quiet"])
        await yard.worker().run(once=True)
        assert yard.said == []

    play(tmp_path, scene)
