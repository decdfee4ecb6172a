"""Workers that claim at the same time, pauses, limits that change, deaths: no run has two owners, no limit is passed.

Everything in a wave is asked at once, over the public routes; between waves it is counted who holds what.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from plane import Plane, opened_plane

from headway.testing.databases import SharedDatabase, point_to
from headway.testing.postgres import Cluster

POOL_LIMIT, NARROW, URGENT = 4, 2, 3
WORKERS = ("w1", "w2", "w3")
OCCUPYING = ("PENDING", "RUNNING", "CANCELLING")
SEEDS = st.lists(st.integers(0, 2**32), min_size=5, max_size=8)
Asked = tuple[str, str, Any, dict[str, str]]


@dataclass
class Held:
    """An attempt that a worker was given."""

    run: str
    number: int
    token: str
    worker: str

    def path(self, rest: str) -> str:
        return f"/flow_runs/{self.run}/{rest}"


@dataclass
class Scene:
    """A pool of its own with three workers and three deployments, and what the workers believe to hold."""

    plane: Plane
    pool: str = ""
    workers: dict[str, str] = field(default_factory=dict)
    deployments: dict[str, str] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    given: Counter[tuple[str, int]] = field(default_factory=Counter)
    paused: bool = False

    def build(self) -> None:
        self.pool = self.plane.pool(concurrency_limit=POOL_LIMIT)
        queue = {"name": "urgent", "priority": 0, "concurrency_limit": URGENT}
        self.plane.expect("POST", f"/work_pools/{self.pool}/queues", queue)
        self.workers = {name: self.plane.worker(self.pool, name) for name in WORKERS}
        special: dict[str, dict[str, Any]] = {
            "plain": {}, "narrow": {"concurrency_limit": NARROW}, "urgent": {"work_queue_name": "urgent"}
        }  # fmt: skip
        self.deployments = {
            name: self.plane.deployment(self.pool, name, retries=3, retry_delay=0, **fields)
            for name, fields in special.items()
        }

    # -- one wave: requests that are on their way at the same time

    def wave(self, seed: int) -> None:
        chance = random.Random(seed)
        asked: list[Asked] = [self._creation(chance) for _ in range(chance.randint(1, 5))]
        claims = [self._claim(chance, worker) for worker in WORKERS for _ in range(chance.randint(1, 2))]
        steps = [self._step(chance, held) for held in self.held]
        asked += [*claims, *claims[:1], *steps]  # one claim is sent twice, as after a lost answer
        if chance.random() < 0.3:
            self.paused = not self.paused
            asked.append(("PATCH", f"/work_pools/{self.pool}", {"is_paused": self.paused}, {}))
        if chance.random() < 0.4:  # a worker dies: what it holds is renewed no more
            dead = chance.choice(WORKERS)
            self.held = [held for held in self.held if held.worker != dead]
        chance.shuffle(asked)
        answers = self.plane.together(asked)
        names = {id: name for name, id in self.workers.items()}
        seen: dict[str, list[Any]] = {}
        for (_, path, body, _), (status, answer) in zip(asked, answers, strict=True):
            assert status < 500, f"{path}: {status} {answer}"
            if path.endswith("/claim"):
                assert status == 200, answer
                self._take(names[body["worker_id"]], body["claim_id"], answer["claims"], seen)

    def _take(self, worker: str, claim: str, claims: list[Any], seen: dict[str, list[Any]]) -> None:
        tokens = [(one["flow_run"]["id"], one["attempt"], one["token"]) for one in claims]
        if claim in seen:
            assert sorted(seen[claim]) == sorted(tokens), "the same claim was answered with other runs"
            return
        seen[claim] = tokens
        for run, number, token in tokens:
            self.given[run, number] += 1
            self.held.append(Held(run, number, token, worker))

    def _creation(self, chance: random.Random) -> Asked:
        name = chance.choice(sorted(self.deployments))
        return ("POST", f"/deployments/{self.deployments[name]}/create_flow_run", {}, {})

    def _claim(self, chance: random.Random, worker: str) -> Asked:
        body = {"claim_id": str(uuid4()), "worker_id": self.workers[worker],
                "limit": chance.randint(1, 4)}  # fmt: skip
        return ("POST", f"/work_pools/{self.pool}/claim", body, {})

    def _step(self, chance: random.Random, held: Held) -> Asked:
        """What the worker or the engine of an attempt says next; some of it is too late, and refused."""
        fence = {
            "headway-attempt-token": held.token,
            "headway-attempt": str(held.number),
            "headway-attempt-nonce": held.token[:8],
        }
        what = chance.choice(("RUNNING", "RUNNING", "COMPLETED", "ended", "cancel", "renew"))
        if what == "ended":
            report = {"token": held.token, "event": "ended", "signal": 9}
            return ("POST", held.path(f"attempts/{held.number}/report"), report, {})
        if what == "cancel":
            return ("POST", held.path("set_state"), {"state": {"type": "CANCELLING"}}, {})
        if what == "renew":
            ref = {"flow_run_id": held.run, "attempt": held.number, "token": held.token}
            body = {"worker_id": self.workers[held.worker], "attempts": [ref]}
            return ("POST", f"/work_pools/{self.pool}/renew", body, {})
        return ("POST", held.path("set_state"), {"state": {"type": what}}, fence)

    # -- between waves

    def count(self) -> None:
        """Nothing was given twice; every limit holds; slots are those of the runs that occupy."""
        assert all(count == 1 for count in self.given.values()), "an attempt was given to two workers"
        body = {"flow_runs": {"deployment_id": {"any_": list(self.deployments.values())}}, "limit": 200}
        runs = self.plane.expect("POST", "/flow_runs/filter", body)
        of = {id: name for name, id in self.deployments.items()}
        busy = Counter(of[run["deployment_id"]] for run in runs if run["state_type"] in OCCUPYING)
        assert sum(busy.values()) <= POOL_LIMIT
        assert busy["narrow"] <= NARROW
        assert busy["urgent"] <= URGENT
        if not self.paused:
            backlog = self.plane.expect("GET", f"/work_pools/{self.pool}/backlog")
            assert backlog["slots_free"] == POOL_LIMIT - sum(busy.values())
        narrow = self.plane.expect("GET", f"/deployments/{self.deployments['narrow']}")["global_concurrency_limit"]
        assert busy["narrow"] <= narrow["active_slots"] <= NARROW

    def come_to_rest(self) -> None:
        """Everybody dies: once the leases have run out, nothing is held any more."""
        for _ in range(12):
            self.plane.clock.advance(4.0)
            self.plane.reap()
        self.count()
        body = {"flow_runs": {"deployment_id": {"any_": list(self.deployments.values())}}, "limit": 200}
        left = {run["state_type"] for run in self.plane.expect("POST", "/flow_runs/filter", body)}
        assert not left & {"PENDING", "RUNNING", "CANCELLING"}


def play(plane: Plane, seeds: list[int]) -> None:
    scene = Scene(plane)
    scene.build()
    plane.reap()
    for seed in seeds:
        scene.wave(seed)
        plane.clock.advance(2.0)
        plane.reap()
        scene.count()
    scene.come_to_rest()


def test_on_sqlite_claims_that_meet_never_share_a_run_nor_pass_a_limit(tmp_path: Path) -> None:
    with opened_plane(tmp_path) as plane:

        @given(SEEDS)
        @settings(max_examples=12, phases=[Phase.generate])
        def waves(seeds: list[int]) -> None:
            play(plane, seeds)

        waves()


@pytest.mark.timeout(300)
def test_on_postgresql_claims_that_meet_never_share_a_run_nor_pass_a_limit(tmp_path: Path, postgres: Cluster) -> None:
    point_to(tmp_path, SharedDatabase(postgres).url)
    with opened_plane(tmp_path) as plane:

        @given(SEEDS)
        @settings(max_examples=6, phases=[Phase.generate])
        def waves(seeds: list[int]) -> None:
            play(plane, seeds)

        waves()
