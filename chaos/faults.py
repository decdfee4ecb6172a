"""The faults. Each kind is one coroutine: find a target that holds something, hurt it, note it, let it recover.

A note says `held`: whether, at that moment, the target held a live lease (it wrote less than a lease ago, or the API
says RUNNING) or was inside a transaction (unanswered writes for a server, pg_stat_activity for PostgreSQL). `begin` and
`end` bound what was done; `pids` and `workers` are who was touched.
"""

from __future__ import annotations

import asyncio
import random
import resource
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

from chaos.api import Api
from chaos.evidence import Journal
from chaos.live import Live, Target
from chaos.plan import Plan
from chaos.processes import carrying, send
from chaos.root import Disk, Island
from chaos.site import Replica, Site, WorkerSlot

__all__ = ["Faults"]

IN_FLIGHT = 6
PAUSE_SECONDS = 14.0
"""Between two faults of a kind, about; shorter where there are few of each."""


class Faults:
    """Everything the injector knows how to do. `done` counts per kind; `held` those that hit something held."""

    def __init__(self, plan: Plan, site: Site, live: Live, journal: Journal, chance: random.Random) -> None:
        self.plan = plan
        self.site = site
        self.live = live
        self.journal = journal
        self.chance = chance
        self.api: Api = site.api
        self.done: dict[str, int] = dict.fromkeys(plan.kinds, 0)
        self.disk: Disk | None = None
        self.island: Island | None = None
        self._postgres = asyncio.Lock()

    @property
    def finished(self) -> bool:
        return all(count >= self.plan.quota for count in self.done.values())

    async def inject(self, kind: str) -> None:
        """All faults of one kind, one after the other, with pauses drawn from the seed; kinds overlap."""
        act: Callable[[], Awaitable[bool]] = getattr(self, "_" + kind.replace("-", "_"))
        chance = random.Random(f"{self.plan.seed}-{kind}")
        while self.done[kind] < self.plan.quota:
            await asyncio.sleep(chance.uniform(0.5, 1.5) * min(PAUSE_SECONDS, self.plan.quota))
            if await act():
                self.done[kind] += 1

    # -- runs and workers

    async def _target(self) -> Target | None:
        found = await self.live.some()
        return self.chance.choice(found) if found else None

    async def _holds(self, target: Target) -> bool:
        """Whether its lease lives: a write of its own has renewed it, or the API says that it has its run now."""
        if time.time() - target.acked < self.plan.lease_ttl:
            return True
        with suppress(Exception):
            _, run = await self.api.once("GET", f"/flow_runs/{target.run}")
            return bool(run["state_type"] in ("RUNNING", "CANCELLING") and run["attempt"] == target.attempt)
        return False

    async def _run_kill(self) -> bool:
        target = await self._target()
        if target is None:
            return False
        held = await self._holds(target)
        if not target.lives:
            return False
        send([target.pid], signal.SIGKILL)
        self._note("run-kill", held, pids=[target.pid], runs=[target.run])
        return True

    async def _busy_worker(self) -> tuple[WorkerSlot, list[Target]] | None:
        """A worker that has runs, and those."""
        found = await self.live.some()
        slots = {slot.tag: slot for slot in self.site.workers if slot.child is not None and slot.child.lives}
        tags = sorted(
            {target.worker for target in found if target.worker in slots and not slots[target.worker].busy.locked()}
        )
        if not tags:
            await asyncio.sleep(0.2)
            return None
        tag = self.chance.choice(tags)
        return slots[tag], [target for target in found if target.worker == tag]

    async def _worker_kill(self) -> bool:
        chosen = await self._busy_worker()
        if chosen is None:
            return False
        slot, targets = chosen
        async with slot.busy:
            held = await self._holds(targets[0])
            assert slot.child is not None
            slot.child.kill()
            self._note("worker-kill", held, workers=[slot.tag], pids=[slot.child.pid])
            await self._replace(slot)
        return True

    async def _both_kill(self) -> bool:
        chosen = await self._busy_worker()
        if chosen is None:
            return False
        slot, targets = chosen
        async with slot.busy:
            held = await self._holds(targets[0])
            family = [seen.pid for seen in carrying(self.site.marker, slot.tag)]
            send(family, signal.SIGKILL)
            assert slot.child is not None
            slot.child.kill()
            self._note("both-kill", held, workers=[slot.tag], pids=family, runs=[target.run for target in targets])
            await self._replace(slot)
        return True

    async def _replace(self, slot: WorkerSlot) -> None:
        await asyncio.sleep(self.chance.uniform(0.0, 1.5))
        slot.start()

    async def _freeze(self) -> bool:
        """A run, a worker, or both: only with both is the lease lost."""
        chosen = await self._busy_worker()
        if chosen is None:
            return False
        slot, targets = chosen
        what = self.chance.choice(("run", "worker", "both", "both"))
        target = self.chance.choice(targets)
        async with slot.busy:
            held = await self._holds(target)
            assert slot.child is not None
            pids = {"run": [target.pid], "worker": [slot.child.pid], "both": [slot.child.pid, target.pid]}[what]
            begin = time.time()
            send(pids, signal.SIGSTOP)
            try:
                await asyncio.sleep(2 * self.plan.lease_ttl)
            finally:
                send(pids, signal.SIGCONT)
            runs = [target.run] if what != "worker" else []
            touched = [target.pid] if what != "worker" else []
            self._note("freeze", held, begin, of=what, workers=[slot.tag], pids=touched, runs=runs)
        return True

    # -- the control plane

    async def _in_flight(self, replica: Replica) -> list[asyncio.Task[Any]]:
        """Writes of our own that are on their way to a replica when it is hurt."""
        body = {"name": f"in-flight-{uuid4()}"}
        ask = self.api.once
        sent = [asyncio.ensure_future(ask("POST", "/flows/", body, url=replica.url)) for _ in range(IN_FLIGHT)]
        await asyncio.sleep(self.chance.uniform(0.0, 0.01))
        return sent

    async def _server_kill(self) -> bool:
        replica = self.chance.choice(self.site.replicas)
        async with replica.busy:
            if self.disk is not None and self.disk.busy.locked():
                return False
            leases = len(await self.live.some())
            sent = await self._in_flight(replica)
            unanswered = self.api.inflight[replica.url]
            assert replica.child is not None
            begin = time.time()
            replica.child.kill()
            await asyncio.gather(*sent, return_exceptions=True)
            await asyncio.sleep(self.chance.uniform(0.0, 2.0))
            async with self._outage_if_alone("server-kill", begin):
                await self._start_again(replica)
            held = unanswered > 0 and leases > 0
            self._note("server-kill", held, begin, replica=replica.number, unanswered=unanswered, leases=leases)
        return True

    async def _start_again(self, replica: Replica) -> None:
        """A supervisor starts it again, and again if it does not come up while PostgreSQL is away."""
        for _ in range(20):
            try:
                await replica.start()
                return
            except RuntimeError as error:
                self.journal.note("start-failed", replica=replica.number, said=str(error)[-300:])
                if replica.child is not None:
                    replica.child.kill()
                await asyncio.sleep(0.5)
        raise RuntimeError(f"server {replica.number} cannot be started again")

    async def _server_freeze(self) -> bool:
        replica = self.chance.choice(self.site.replicas)
        async with replica.busy:
            leases = len(await self.live.some())
            sent = await self._in_flight(replica)
            unanswered = self.api.inflight[replica.url]
            begin = time.time()
            async with self._outage_if_alone("server-freeze", begin):
                send([replica.pid], signal.SIGSTOP)
                try:
                    await asyncio.sleep(2 * self.plan.lease_ttl)
                finally:
                    send([replica.pid], signal.SIGCONT)
                await replica.answers()
            await asyncio.gather(*sent, return_exceptions=True)
            self._note("server-freeze", unanswered > 0 and leases > 0, begin, replica=replica.number, leases=leases)
        return True

    @asynccontextmanager
    async def _outage_if_alone(self, kind: str, begin: float) -> AsyncIterator[None]:
        """With one server, its absence is the control plane's; with two it is not."""
        try:
            yield
        finally:
            if len(self.site.replicas) == 1:
                self.journal.note("outage", kind=kind, begin=begin, end=time.time())

    # -- the disk

    async def _disk_limit(self) -> bool:
        """No file of the server may grow: what a full disk or a quota is to it."""
        replica = self.site.replicas[0]
        async with replica.busy:
            leases = len(await self.live.some())
            begin = time.time()
            old = resource.prlimit(replica.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(replica.pid, resource.RLIMIT_FSIZE, (4096, old[1]))
            sent = await self._in_flight(replica)
            unanswered = self.api.inflight[replica.url]
            async with self._outage_if_alone("disk-limit", begin):
                await asyncio.sleep(self.chance.uniform(0.5, 2.0))
                resource.prlimit(replica.pid, resource.RLIMIT_FSIZE, old)
                await self._recovered(replica)
            await asyncio.gather(*sent, return_exceptions=True)
            self._note("disk-limit", unanswered > 0 and leases > 0, begin, unanswered=unanswered, leases=leases)
        return True

    async def _disk_full(self) -> bool:
        assert self.disk is not None
        replica = self.site.replicas[0]
        async with replica.busy, self.disk.busy:
            leases = len(await self.live.some())
            begin = time.time()
            self.disk.fill()
            sent = await self._in_flight(replica)
            unanswered = self.api.inflight[replica.url]
            async with self._outage_if_alone("disk-full", begin):
                try:
                    await asyncio.sleep(self.chance.uniform(0.5, 2.5))
                finally:
                    self.disk.free()
                await self._recovered(replica)
            await asyncio.gather(*sent, return_exceptions=True)
            self._note("disk-full", unanswered > 0 and leases > 0, begin, unanswered=unanswered, leases=leases)
        return True

    async def _recovered(self, replica: Replica) -> None:
        """Until it writes again; a server that does not within 20 s is a finding of its own."""
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline:
            with suppress(Exception):
                status, _ = await self.api.once("POST", "/flows/", {"name": f"again-{uuid4()}"}, url=replica.url)
                if status < 300:
                    return
            await asyncio.sleep(0.1)
        self.journal.note("stuck", replica=replica.number)

    # -- the network

    async def _network_cut(self) -> bool:
        assert self.island is not None
        slot = self.island.slot
        found = [target for target in await self.live.some() if target.worker == slot.tag]
        if not found or slot.busy.locked():
            await asyncio.sleep(0.2)
            return False
        async with slot.busy:
            held = await self._holds(found[0])
            begin = time.time()
            self.island.cut()
            try:
                await asyncio.sleep(2 * self.plan.lease_ttl)
            finally:
                self.island.heal()
            self._note("network-cut", held, begin, workers=[slot.tag], all=True)
        return True

    # -- PostgreSQL

    async def _pg_crash(self) -> bool:
        cluster = self.site.cluster
        assert cluster is not None
        async with self._postgres:
            sent = await self._in_flight(self.site.replicas[0])
            begin = time.time()
            busy = await asyncio.to_thread(cluster.execute, _BUSY)
            await asyncio.to_thread(cluster.halt)
            await asyncio.sleep(self.chance.uniform(0.0, 1.0))
            await asyncio.to_thread(cluster.start)
            for replica in self.site.replicas:
                if not replica.busy.locked():
                    with suppress(RuntimeError):
                        await replica.answers()
            self.journal.note("outage", kind="pg-crash", begin=begin, end=time.time())
            await asyncio.gather(*sent, return_exceptions=True)
            leases = len(self.live.look())
            self._note("pg-crash", bool(busy) or leases > 0, begin, transactions=len(busy), leases=leases)
        return True

    async def _pg_terminate(self) -> bool:
        """One statement that finds a connection inside a transaction and ends it."""
        cluster = self.site.cluster
        assert cluster is not None
        if self._postgres.locked():
            await asyncio.sleep(0.2)
            return False
        async with self._postgres:
            for _ in range(400):
                sent = await self._in_flight(self.chance.choice(self.site.replicas))
                begin = time.time()
                hit = await asyncio.to_thread(cluster.execute, _TERMINATE)
                await asyncio.gather(*sent, return_exceptions=True)
                if hit:
                    self._note("pg-terminate", True, begin, backend=hit[0][0])
                    return True
            hit = await asyncio.to_thread(cluster.execute, _TERMINATE_ANY)
            self._note("pg-terminate", False, begin, backend=hit[0][0] if hit else None)
        return True

    def _note(self, kind: str, held: bool, begin: float | None = None, **facts: Any) -> None:
        end = time.time()
        self.journal.note("fault", kind=kind, held=held, begin=end if begin is None else begin, end=end, **facts)


_OURS = "datname LIKE 'headway%' AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
_BUSY = f"SELECT pid FROM pg_stat_activity WHERE {_OURS} AND xact_start IS NOT NULL"
_TERMINATE = f"""SELECT pid, pg_terminate_backend(pid) FROM (
    SELECT pid FROM pg_stat_activity WHERE {_OURS} AND xact_start IS NOT NULL ORDER BY random() LIMIT 1) AS one"""
_TERMINATE_ANY = f"""SELECT pid, pg_terminate_backend(pid) FROM (
    SELECT pid FROM pg_stat_activity WHERE {_OURS} ORDER BY random() LIMIT 1) AS one"""
