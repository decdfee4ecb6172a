"""Claims that wait at a real server, and what a cancelled run whose worker is dead comes to."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import psutil
import pytest

from headway.client import SyncClient
from headway.core.settings import Settings
from headway.core.states import StateType
from headway.testing.lifecycle import QUICK, SLEEPY, at_rest, gone, started_pids
from headway.testing.processes import Place
from headway.testing.project import Project
from headway.testing.waiting import eventually
from headway.wire.states import StateCreate
from headway.wire.work_pools import WorkPoolUpdate
from headway.wire.workers import ClaimReply, ClaimRequest, WorkerRegister

LONG = 30.0


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


class Waiter:
    """A worker of which only the claims are real."""

    def __init__(self, api: SyncClient, pool: str, threads: ThreadPoolExecutor) -> None:
        self._api, self._pool, self._threads = api, pool, threads
        self.id: UUID = api.register_worker(pool, WorkerRegister(type="process", name=f"w-{uuid4()}")).worker_id

    def claim(self, limit: int = 1) -> Future[ClaimReply]:
        """Under way; it has been heard once the queue has been polled."""
        request = ClaimRequest(claim_id=uuid4(), worker_id=self.id, limit=limit, wait_seconds=LONG)
        return self._threads.submit(self._api.claim, self._pool, request)

    def polled(self) -> bool:
        return self._api.read_work_queues(self._pool)[0].last_polled is not None


@pytest.mark.both_databases
def test_a_claim_waits_until_there_is_something_to_do_or_the_server_ends(
    place: Place, tmp_path: Path, beside: ThreadPoolExecutor
) -> None:
    server = place.server()
    with SyncClient(place.url, settings=Settings(home=place.home)) as api:
        project = Project(tmp_path / "project", api)
        pool = project.pool()
        deployment = project.deploy("sleepy", SLEEPY, pool)
        worker = Waiter(api, pool, beside)

        def answered(waiting: Future[ClaimReply], by: Callable[[], object]) -> ClaimReply:
            eventually(worker.polled, 60, "the poll to be open")
            assert not waiting.done()
            by()
            return waiting.result(LONG / 2)

        reply = answered(worker.claim(), lambda: project.start(deployment))
        (claim,) = reply.claims
        run = claim.flow_run.id
        cancelled = StateCreate(type=StateType.CANCELLING)
        reply = answered(worker.claim(0), lambda: api.set_flow_run_state(run, cancelled))
        assert [order.flow_run_id for order in reply.stop] == [run]

        api.update_work_pool(pool, WorkPoolUpdate(is_paused=True))
        waits = project.start(deployment)
        reply = answered(worker.claim(), lambda: api.update_work_pool(pool, WorkPoolUpdate(is_paused=False)))
        assert [one.flow_run.id for one in reply.claims] == [waits]

        reply = answered(worker.claim(), lambda: server.signal(signal.SIGTERM))
        assert not reply.claims
        assert server.wait() == 0


@pytest.mark.both_databases
def test_a_cancelled_run_whose_worker_is_dead_is_ended_by_the_next_worker(place: Place, tmp_path: Path) -> None:
    place.server(**QUICK)
    marks = tmp_path / "marks"
    marks.mkdir()
    with SyncClient(place.url, settings=Settings(home=place.home)) as api:
        project = Project(tmp_path / "project", api)
        pool = project.pool()
        worker = place.worker(pool, "--name", "one", **QUICK)
        run = project.start(project.deploy("sleepy", SLEEPY, pool), parameters={"marks": str(marks)})
        pid, child = started_pids(marks)
        project.until(run, "RUNNING")
        worker.kill()
        os.kill(pid, signal.SIGSTOP)  # it can neither renew nor hear that it is cancelled
        api.set_flow_run_state(run, StateCreate(type=StateType.CANCELLING))

        def told() -> bool:
            now = api.read_flow_run(run)
            assert now.state_type == StateType.CANCELLING
            assert now.infrastructure_pid is not None
            return f"infrastructure may still run: {now.infrastructure_pid}" in (now.state.message or "")

        eventually(told, 60, "the state to say what may still run")
        assert psutil.pid_exists(pid)
        place.worker(pool, "--name", "two", **QUICK)
        assert project.until(run, deadline=60).state_type == StateType.CANCELLED
        eventually(lambda: gone(pid, child) and at_rest(place), 60, "everything of it to be gone")
