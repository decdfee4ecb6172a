"""The rolling load: clients that create runs and drive states, and note what the API has acknowledged."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from chaos.api import Api, Refused
from chaos.evidence import Journal
from chaos.plan import Plan

__all__ = ["DEPLOYMENTS", "Load"]

FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
POOL = "chaos"
POOL_LIMIT, URGENT_LIMIT, NARROW_LIMIT = 20, 4, 3
DEPLOYMENTS: dict[str, dict[str, Any]] = {
    "steady": {},
    "narrow": {"concurrency_limit": NARROW_LIMIT},
    "urgent": {"work_queue_name": "urgent"},
    "failing": {"parameters": {"fails": True}, "retries": 0},
}
"""Name and what is special about it. Runs are drawn from them 6 : 2 : 2 : 1."""
WEIGHTS = (6, 2, 2, 1)


class Load:
    """Keeps `plan.at_once` runs under way until enough were accepted and `more` says that it may end."""

    def __init__(self, plan: Plan, api: Api, journal: Journal, marks: Path, chance: random.Random) -> None:
        self.plan = plan
        self.api = api
        self.journal = journal
        self.marks = marks
        self.chance = chance
        self.deployments: dict[str, str] = {}
        self.open: dict[str, float] = {}
        self.accepted = 0
        self.lifecycles = 0
        self.stopping = False
        self.errors: list[str] = []
        self._cancels: set[asyncio.Task[None]] = set()

    async def prepare(self, flows: Path) -> None:
        """The pool, its queues, the flow and its deployments."""
        pool = {"name": POOL, "type": "process", "concurrency_limit": POOL_LIMIT}
        await self.api.ask("POST", "/work_pools/", pool)
        await self.api.ask(
            "POST", f"/work_pools/{POOL}/queues", {"name": "urgent", "priority": 1, "concurrency_limit": URGENT_LIMIT}
        )
        flow = await self.api.ask("POST", "/flows/", {"name": "endure"})
        for name, special in DEPLOYMENTS.items():
            body = {
                "name": name,
                "flow_id": flow["id"],
                "work_pool_name": POOL,
                "path": str(flows.parent),
                "entrypoint": f"{flows.name}:endure",
                "retries": self.plan.retries,
                "retry_delay": 0,
                **special,
                "parameters": {"marks": str(self.marks), **special.get("parameters", {})},
            }
            self.deployments[name] = (await self.api.ask("POST", "/deployments/", body))["id"]

    # -- runs that workers execute

    async def create(self, name: str, seconds: float) -> str:
        """One run, acknowledged."""
        body = {"idempotency_key": str(uuid4()), "parameters": {"seconds": round(seconds, 2)}}
        made = await self.api.ask("POST", f"/deployments/{self.deployments[name]}/create_flow_run", body)
        self.journal.note("created", run=made["id"], deployment=name, seconds=seconds)
        self.accepted += 1
        self.open[made["id"]] = time.time()
        return str(made["id"])

    async def roll(self, enough: Any) -> None:
        """Create runs as old ones end, until `enough()`; what it learns about ends only paces it."""
        watch = asyncio.create_task(self._watch())
        try:
            while not (self.accepted >= self.plan.runs and enough()) and not self.stopping:
                if len(self.open) >= self.plan.at_once:
                    await asyncio.sleep(0.05)
                    continue
                name = self.chance.choices(list(DEPLOYMENTS), WEIGHTS)[0]
                run = await self.create(name, self.chance.uniform(0.5, 4.0))
                if self.chance.random() < 0.03:
                    self._cancels.add(asyncio.create_task(self._cancel(run, self.chance.uniform(0.2, 4.0))))
        finally:
            watch.cancel()
            await asyncio.gather(*self._cancels)

    async def _cancel(self, run: str, delay: float) -> None:
        await asyncio.sleep(delay)
        try:
            answer = await self.api.ask("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
        except (Refused, TimeoutError) as error:
            self.errors.append(f"cancel: {error}")
            return
        if answer["status"] in ("ACCEPT", "REJECT") and (answer.get("state") or {}).get("type") in (
            "CANCELLING",
            "CANCELLED",
        ):
            state = answer["state"]
            self.journal.note("cancelled", run=run, state=state["id"], type=state["type"])

    async def _watch(self) -> None:
        while True:
            for run in await self.finished(list(self.open)):
                self.open.pop(run, None)
            await asyncio.sleep(0.25)

    async def finished(self, ids: list[str]) -> list[str]:
        found = []
        for start in range(0, len(ids), 200):
            body = {"flow_runs": {"id": {"any_": ids[start : start + 200]}}, "limit": 200}
            runs = await self.api.ask("POST", "/flow_runs/filter", body)
            found += [run["id"] for run in runs if run["state_type"] in FINAL]
        return found

    # -- lifecycles that clients drive themselves: they keep a transaction open nearly always

    async def drive(self, enough: Any) -> None:
        while not (self.lifecycles >= self.plan.lifecycles and enough()) and not self.stopping:
            try:
                await self._lifecycle()
            except (Refused, TimeoutError) as error:
                self.errors.append(f"lifecycle: {error}")
            await asyncio.sleep(self.chance.uniform(0.05, 0.3))

    async def _lifecycle(self) -> None:
        flow = await self.api.ask("POST", "/flows/", {"name": "driven"})
        body = {"flow_id": flow["id"], "idempotency_key": str(uuid4()), "state": {"type": "PENDING"}}
        run = await self.api.ask("POST", "/flow_runs/", body)
        self.journal.note("driven", run=run["id"])
        for type in ("RUNNING", "COMPLETED"):
            state = {"type": type, "state_details": {"transition_id": str(uuid4())}}
            answer = await self.api.ask("POST", f"/flow_runs/{run['id']}/set_state", {"state": state})
            written = answer.get("state") or {}
            if written.get("type") != type:
                raise Refused(200, answer)
            self.journal.note("state", run=run["id"], state=written["id"], type=type)
        self.lifecycles += 1
