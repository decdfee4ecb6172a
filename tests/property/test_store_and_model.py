"""The control plane and a model of a page do the same, whatever is asked of them: on both databases.

The model knows runs, attempts, leases, slots and limits as a person would explain them; the control plane is asked
through its routes only. After every step both are compared, run by run.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from plane import Plane, opened_plane

from headway.testing.databases import SharedDatabase, point_to
from headway.testing.postgres import Cluster

TTL = timedelta(seconds=20)
LONGEST_GAP = timedelta(seconds=5)
"""A reaper that was away for longer lets every lease begin anew."""
CANCEL_TIMEOUT = timedelta(seconds=300)
OCCUPYING = {"PENDING", "RUNNING", "CANCELLING"}
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
QUEUES = {"default": 1, "first": 0}
DEPLOYMENTS = {"plain": "default", "narrow": "first"}
NARROW = 1
STEPS = ("create", "cancel", "pause", "limit", "claim", "go on", "renew", "intrude", "time", "reap")
WEIGHTS = (2, 1, 1, 1, 8, 20, 3, 3, 3, 5)
NONCE = "headway-attempt-nonce"
RETRIES = 1


@dataclass
class Run:
    """What the model knows of one run. `waits_inside`: its process is alive and will try again."""

    id: str
    deployment: str
    due: datetime
    state: str = "SCHEDULED"
    attempt: int = 0
    live: bool = False
    token: str = ""
    worker: str = ""
    nonce: str | None = None
    touched: bool = False
    reported: bool = False
    waits_inside: bool = False
    lease_end: datetime | None = None
    used: int = 0

    @property
    def queue(self) -> str:
        return DEPLOYMENTS[self.deployment]

    @property
    def occupies(self) -> bool:
        return self.state in OCCUPYING or (self.state == "SCHEDULED" and self.waits_inside)

    @property
    def fence(self) -> dict[str, str]:
        named = {"headway-attempt-token": self.token, "headway-attempt": str(self.attempt)}
        return {**named, NONCE: f"nonce-{self.id}-{self.attempt}"}

    def crash(self, now: datetime) -> None:
        """Its process is gone: again, if it may."""
        self.waits_inside = False
        if self.used < RETRIES:
            self.used += 1
            self.state, self.due = "SCHEDULED", now
        else:
            self.state = "CRASHED"


class Machine(RuleBasedStateMachine):
    """Made with a plane; each example has a pool of its own."""

    def __init__(self, plane: Plane) -> None:
        super().__init__()
        self.plane = plane
        self.model: dict[str, Run] = {}
        self.pool_limit: int | None = None
        self.paused: set[str] = set()
        self.reaped = plane.now()
        self.claims = 0

    @initialize()
    def begin(self) -> None:
        self.pool = self.plane.pool()
        self.plane.expect("POST", f"/work_pools/{self.pool}/queues", {"name": "first", "priority": 0})
        special = {"plain": {}, "narrow": {"concurrency_limit": NARROW, "work_queue_name": "first"}}
        self.deployments = {
            name: self.plane.deployment(self.pool, name, retries=RETRIES, retry_delay=0, **special[name])
            for name in DEPLOYMENTS
        }
        self.workers = {name: self.plane.worker(self.pool, name) for name in ("w1", "w2")}
        self.reap()
        for name in ("plain", "narrow", "plain", "plain"):
            self.create(name, 0)

    @rule(seed=st.integers(0, 2**32))
    def a_while_passes(self, seed: int) -> None:
        """A dozen things happen. Drawn from a seed, because single rules, drawn one by one, seldom make a life."""
        chance = random.Random(seed)
        for _ in range(12):
            note(self.something(chance))
        for place in sorted(self.paused)[:1]:
            self.pause_or_resume(place)

    def something(self, chance: random.Random) -> str:
        run = chance.choice(list(self.model))
        worker = chance.choice(("w1", "w2"))
        (what,) = chance.choices(STEPS, WEIGHTS)
        match what:
            case "create":
                self.create(chance.choice(sorted(DEPLOYMENTS)), chance.choice((0, 0, 0, 8)))
            case "cancel":
                self.cancel(run)
            case "pause":
                self.pause_or_resume(chance.choice(("pool", "default", "first")))
            case "limit":
                self.limit_pool(chance.choice((None, 1, 2, 3)))
            case "claim":
                self.claim(worker, chance.choice((1, 2, 5)))
            case "go on":
                for run in chance.sample(list(self.model), min(3, len(self.model))):
                    self.goes_on(run, chance.choice(("well", "well", "badly", "reported", "dead", "released")))
            case "renew":
                self.renew(worker)
            case "intrude":
                self.a_second_process_is_refused(run)
                self.a_process_whose_attempt_is_over_is_refused(run)
            case "time":
                self.plane.clock.advance(chance.choice((1, 4, 4, 12, 30)))
            case "reap":
                self.plane.clock.advance(chance.choice((0, 4)))
                self.reap()
        return f"{what}: {self.model[run]}"

    # -- what people do

    def create(self, deployment: str, later: float) -> None:
        self.plane.clock.advance(0.001)  # no two are due at the same time
        due = self.plane.now() + timedelta(seconds=later)
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due.isoformat()}}
        made = self.plane.expect(
            "POST", f"/deployments/{self.deployments[deployment]}/create_flow_run", {"state": state}
        )
        self.model[made["id"]] = Run(made["id"], deployment, due)

    def cancel(self, id: str) -> None:
        run = self.model[id]
        answer = self.plane.expect("POST", f"/flow_runs/{id}/set_state", {"state": {"type": "CANCELLING"}})
        if run.state in FINAL:
            assert answer["status"] == "ABORT"
        elif run.live:
            run.state = "CANCELLING"
            run.waits_inside = False
        else:
            run.state = "CANCELLED"

    def pause_or_resume(self, what: str) -> None:
        self.paused ^= {what}
        path = f"/work_pools/{self.pool}" + ("" if what == "pool" else f"/queues/{what}")
        self.plane.expect("PATCH", path, {"is_paused": what in self.paused})

    def limit_pool(self, limit: int | None) -> None:
        self.pool_limit = limit
        self.plane.expect("PATCH", f"/work_pools/{self.pool}", {"concurrency_limit": limit})

    # -- what workers do

    def claim(self, worker: str, limit: int) -> None:
        self.claims += 1
        claim_id = f"00000000-0000-4000-8000-{self.claims:012d}"
        expected = self._next(limit)
        body = {"claim_id": self._claim_id(claim_id), "worker_id": self.workers[worker], "limit": limit}
        claims = self.plane.expect("POST", f"/work_pools/{self.pool}/claim", body)["claims"]
        assert [claim["flow_run"]["id"] for claim in claims] == [run.id for run in expected]
        for run, claim in zip(expected, claims, strict=True):
            run.attempt += 1
            assert claim["attempt"] == run.attempt
            run.state, run.live, run.token, run.worker = "PENDING", True, claim["token"], worker
            run.nonce, run.touched, run.reported, run.lease_end = None, False, False, self.plane.now() + TTL
        again = self.plane.expect("POST", f"/work_pools/{self.pool}/claim", body)["claims"]
        assert [claim["token"] for claim in again] == [run.token for run in expected], "the same claim, the same runs"

    def _claim_id(self, id: str) -> str:
        return self.pool[-8:] + id[8:]

    def _next(self, limit: int) -> list[Run]:
        """Queue by queue, oldest first, passing over what is paused or full."""
        if "pool" in self.paused:
            return []
        found: list[Run] = []
        now = self.plane.now()
        waiting = [r for r in self.model.values() if r.state == "SCHEDULED" and not r.live and r.due <= now]
        held = sum(run.occupies for run in self.model.values())
        narrow = sum(self._holds_narrow(run) for run in self.model.values())
        for run in sorted(waiting, key=lambda run: (QUEUES[run.queue], run.due)):
            full = self.pool_limit is not None and held >= self.pool_limit
            full = full or (run.deployment == "narrow" and narrow >= NARROW)
            if run.queue in self.paused or full or len(found) == limit:
                continue
            found.append(run)
            held, narrow = held + 1, narrow + (run.deployment == "narrow")
        return found

    def _holds_narrow(self, run: Run) -> bool:
        """A deployment's slot stays as long as the process may live."""
        return run.deployment == "narrow" and (run.occupies or run.live)

    def goes_on(self, id: str, how: str) -> None:
        """The next thing in the life of an attempt: RUNNING, a final state, the end of its process."""
        run = self.model[id]
        if not run.live:
            return
        if how == "reported":
            self._started(run)
        elif how == "released" and run.state == "PENDING":
            self._report(run, "released")
            run.live, run.state = False, "SCHEDULED"
        elif how == "dead" or not (run.state in ("PENDING", "RUNNING") or run.waits_inside):
            self._ended(run)
        elif run.state == "RUNNING":
            self._finishes(run, "FAILED" if how == "badly" else "COMPLETED")
        else:
            self._runs_now(run)

    def _started(self, run: Run) -> None:
        self._report(run, "started", handle={"type": "process", "flow_run_id": run.id, "attempt": run.attempt})
        run.touched, run.reported, run.lease_end = True, True, self.plane.now() + TTL

    def _ended(self, run: Run) -> None:
        """Its process has ended, whatever it said before."""
        self._report(run, "ended", exit_code=1)
        self._end(run)
        self._report(run, "ended", exit_code=1)  # saying it again changes nothing

    def _end(self, run: Run) -> None:
        run.live = False
        if run.state == "CANCELLING":
            run.state = "CANCELLED"
        elif run.state in ("PENDING", "RUNNING") or run.waits_inside:
            run.crash(self.plane.now())

    def _report(self, run: Run, event: str, **more: Any) -> None:
        body = {"token": run.token, "event": event, **more}
        self.plane.expect("POST", f"/flow_runs/{run.id}/attempts/{run.attempt}/report", body)

    def renew(self, worker: str) -> None:
        mine = [run for run in self.model.values() if run.live and run.worker == worker]
        refs = [{"flow_run_id": run.id, "attempt": run.attempt, "token": run.token} for run in mine]
        body = {"worker_id": self.workers[worker], "attempts": refs}
        answer = self.plane.expect("POST", f"/work_pools/{self.pool}/renew", body)
        assert answer["lost"] == []
        for run in mine:
            run.touched, run.lease_end = True, self.plane.now() + TTL

    # -- what engines do

    def _runs_now(self, run: Run) -> None:
        assert self._propose(run, "RUNNING")["status"] == "ACCEPT"
        run.state, run.nonce, run.touched, run.waits_inside = "RUNNING", run.fence[NONCE], True, False
        run.lease_end = self.plane.now() + TTL

    def _finishes(self, run: Run, how: str) -> None:
        answer = self._propose(run, how)
        run.lease_end = self.plane.now() + TTL
        if how == "FAILED" and run.used < RETRIES:
            assert answer["status"] == "REJECT"
            run.used += 1
            run.state, run.waits_inside = "SCHEDULED", True
        else:
            run.state = how

    def a_second_process_is_refused(self, id: str) -> None:
        run = self.model[id]
        if run.live and run.nonce:
            fence = {**run.fence, NONCE: "another"}
            status, _ = self.plane.ask("POST", f"/flow_runs/{id}/set_state", {"state": {"type": "RUNNING"}}, **fence)
            assert status == 409

    def a_process_whose_attempt_is_over_is_refused(self, id: str) -> None:
        run = self.model[id]
        if run.attempt and not run.live:
            status, _ = self.plane.ask(
                "POST", f"/flow_runs/{id}/set_state", {"state": {"type": "COMPLETED"}}, **run.fence
            )
            assert status == 410

    def _propose(self, run: Run, type: str) -> Any:
        return self.plane.expect("POST", f"/flow_runs/{run.id}/set_state", {"state": {"type": type}}, **run.fence)

    # -- time

    def reap(self) -> None:
        now = self.plane.now()
        self.plane.reap()
        leased = [run for run in self.model.values() if run.live]
        if now - self.reaped > LONGEST_GAP:
            for run in leased:
                run.lease_end = max(run.lease_end or now, now + TTL)
        else:
            for run in leased:
                if run.lease_end is not None and run.lease_end < now:
                    self._lose(run)
        self.reaped = now

    def _lose(self, run: Run) -> None:
        if run.state == "PENDING" and not run.touched:
            run.live, run.state = False, "SCHEDULED"
        elif run.state == "CANCELLING" and run.reported:  # what it has started may still run: a worker is waited for
            run.lease_end = self.plane.now() + CANCEL_TIMEOUT + TTL
        else:
            self._end(run)

    # -- the comparison

    @invariant()
    def they_agree(self) -> None:
        if not self.model:
            return
        body = {"flow_runs": {"id": {"any_": list(self.model)}}}
        shown = {run["id"]: run for run in self.plane.expect("POST", "/flow_runs/filter", body)}
        assert shown.keys() == self.model.keys()
        for id, run in self.model.items():
            assert shown[id]["state_type"] == run.state, f"{run}: it is {shown[id]['state_name']}"
            assert (shown[id]["attempt"] or 0) == run.attempt
            assert (shown[id]["end_time"] is not None) == (run.state in FINAL)
        limit = self.plane.expect("GET", f"/deployments/{self.deployments['narrow']}")["global_concurrency_limit"]
        assert limit["active_slots"] == sum(map(self._holds_narrow, self.model.values()))
        status = self.plane.expect("POST", f"/work_pools/{self.pool}/concurrency_status", {})
        assert status["active_slots"] == sum(run.state in OCCUPYING for run in self.model.values())
        if self.pool_limit is not None and not self.paused:
            free = self.plane.expect("GET", f"/work_pools/{self.pool}/backlog")["slots_free"]
            assert free == max(self.pool_limit - sum(run.occupies for run in self.model.values()), 0)


def play(folder: Path, examples: int) -> None:
    with opened_plane(folder) as plane:
        factory: Callable[[], Machine] = lambda: Machine(plane)  # noqa: E731
        run_state_machine_as_test(factory, settings=settings(max_examples=examples, stateful_step_count=8))  # type: ignore[arg-type]


def test_sqlite_and_the_model_agree(tmp_path: Path) -> None:
    play(tmp_path, examples=12)


@pytest.mark.timeout(300)
def test_postgresql_and_the_model_agree(tmp_path: Path, postgres: Cluster) -> None:
    point_to(tmp_path, SharedDatabase(postgres).url)
    play(tmp_path, examples=4)
