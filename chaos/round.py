"""One round: a site, a load, faults that overlap; then quiet, and the judgement."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import random
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from chaos.checker import Violation, check
from chaos.evidence import Evidence
from chaos.faults import Faults
from chaos.live import Live
from chaos.load import Load
from chaos.plan import KINDS, Plan
from chaos.processes import lives, until_gone
from chaos.root import Disk, Island
from chaos.site import Site
from chaos.story import Story

__all__ = ["play"]

FLOWS = Path(__file__).with_name("flows.py")
PAUSE_SECONDS = 0.25
PROBE_SECONDS = 0.2
SILENCE_SECONDS = 1.0
Say = Callable[[str], None]


async def play(plan: Plan, folder: Path, say: Say, judge: Any = check) -> dict[str, Any]:
    """Play a round in an empty folder; the report. `judge(evidence, api)` runs while the API is still up."""
    folder.mkdir(parents=True, exist_ok=True)
    evidence, marker = Evidence(folder), uuid4().hex
    faults, acks = evidence.journal("faults"), evidence.journal("acks")
    site = Site(plan, folder, marker, faults)
    began = time.time()
    async with _started(plan, site, folder) as (disk, _):
        chance = random.Random(plan.seed)
        load = Load(plan, site.api, acks, evidence.marks, chance)
        shutil.copy(FLOWS, folder / "flows.py")
        await load.prepare(folder / "flows.py")
        evidence.keep_plan(plan, marker, deployments=load.deployments)
        await site.start_workers(plan.workers)
        injector = Faults(plan, site, Live(evidence), faults, random.Random(plan.seed + 1))
        injector.disk = disk
        with _island(plan, site) as injector.island:
            hurried = await _roll(plan, load, injector, say)
            say(f"{load.accepted} runs accepted, {sum(injector.done.values())} faults; waiting for all to end")
            probe = asyncio.create_task(_probe(load, injector))
            await _settle(plan, load, say)
            probe.cancel()
            await _quiet(plan, evidence)
            await site.stop_workers()
        left = await asyncio.to_thread(until_gone, marker, 10.0 * plan.patience)
        violations, figures = await judge(evidence, site.api)
        del left
    return _report(plan, violations, figures, load, hurried, time.time() - began)


@asynccontextmanager
async def _started(plan: Plan, site: Site, folder: Path) -> AsyncIterator[tuple[Disk | None, None]]:
    disk = Disk(folder / "disk") if "disk-full" in plan.kinds else None
    try:
        await site.start(disk.folder if disk else None)
        yield disk, None
    finally:
        await site.stop()
        if disk is not None:
            disk.close()


@contextlib.contextmanager
def _island(plan: Plan, site: Site) -> Any:
    island = Island(site) if "network-cut" in plan.kinds else None
    try:
        yield island
    finally:
        if island is not None:
            island.close()


async def _roll(plan: Plan, load: Load, injector: Faults, say: Say) -> bool:
    """Load and faults side by side until both are enough; whether the time was up first."""
    clients = [
        asyncio.create_task(load.roll(lambda: injector.finished)),
        *(asyncio.create_task(load.drive(lambda: injector.finished)) for _ in range(4)),
    ]
    probe = asyncio.create_task(_probe(load, injector))
    await injector.live.some(60.0)
    kinds = [asyncio.create_task(injector.inject(kind), name=kind) for kind in plan.kinds]
    deadline = time.monotonic() + plan.most_seconds
    said = time.monotonic()
    while not all(task.done() for task in (*clients, *kinds)):
        if any(task.done() and task.exception() is not None for task in (*clients, *kinds)):
            break
        if time.monotonic() > said + 15:
            said = time.monotonic()
            say(f"{load.accepted} runs, {load.lifecycles} driven, {len(load.open)} open; faults {injector.done}")
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    return await _end(load, clients, kinds, probe)


async def _end(load: Load, clients: list[asyncio.Task[Any]], kinds: list[asyncio.Task[Any]], probe: Any) -> bool:
    """Whether somebody was still busy. Those are asked to stop; a fault under way heals what it hurt. Raises what
    went wrong in one of them."""
    load.stopping = True
    busy = [task for task in kinds if not task.done()]
    for task in (*busy, probe):
        task.cancel()
    outcomes = await asyncio.gather(*clients, *kinds, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return bool(busy)


async def _probe(load: Load, injector: Faults) -> None:
    """Notes when no server took a write for more than SILENCE_SECONDS, whatever the reason: a machine that is busy
    with other things is an absence like any other; one frozen replica of two is none."""
    answered = time.time()

    async def ask(url: str) -> None:
        nonlocal answered
        while True:
            with contextlib.suppress(Exception):
                asked = load.api.once("POST", "/flows/", {"name": "probe"}, url=url)
                if (await asyncio.wait_for(asked, SILENCE_SECONDS))[0] < 300:
                    now = time.time()
                    if now - answered > SILENCE_SECONDS:
                        injector.journal.note("outage", kind="measured", begin=answered, end=now)
                    answered = now
            await asyncio.sleep(PROBE_SECONDS)

    await asyncio.gather(*(ask(url) for url in load.api.urls))


async def _settle(plan: Plan, load: Load, say: Say) -> None:
    """Until every run has ended, or nothing has for a while."""
    left, moved = list(load.open), time.monotonic()
    while left:
        ended = set(await load.finished(left))
        if ended:
            left, moved = [run for run in left if run not in ended], time.monotonic()
        if time.monotonic() - moved > 60.0 + plan.truth_bound:
            say(f"{len(left)} runs do not end")
            return
        await asyncio.sleep(PAUSE_SECONDS)


async def _quiet(plan: Plan, evidence: Evidence) -> None:
    """Until no process of any run is left, with the workers still there to see to it."""
    deadline = time.monotonic() + plan.quiet_bound
    everybody = [life for lives_of in Story(evidence).lives.values() for life in lives_of]
    while time.monotonic() < deadline and any(lives(life.pid, life.born) for life in everybody):  # noqa: ASYNC110 -- nothing signals it
        await asyncio.sleep(PAUSE_SECONDS)


def _report(
    plan: Plan, violations: list[Violation], figures: dict[str, Any], load: Load, hurried: bool, seconds: float
) -> dict[str, Any]:
    share = figures["faults_that_hit_something_held"] / max(figures["faults_done"], 1)
    return {
        "plan": plan.to_json(),
        "machine": {"system": platform.platform(), "python": platform.python_version(), "processors": _processors()},
        "seconds": round(seconds, 1),
        "time_was_up": hurried,
        "kinds": {kind: KINDS[kind] for kind in plan.kinds},
        **figures,
        "share_held": round(share, 3),
        "unusual_answers": dict(load.api.strange),
        "clients_gave_up": load.errors[:20],
        "violations": [{"kind": v.kind, "run": v.run, "text": v.text} for v in violations],
    }


def _processors() -> int:
    import os

    return os.cpu_count() or 0
