"""What the public API says at the end of a round."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chaos.api import Api, Refused

__all__ = ["Observed", "State", "observe"]

AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class State:
    """One entry of a run's history; `time` in seconds since the epoch."""

    id: str
    type: str
    name: str
    message: str
    time: float

    @property
    def owner(self) -> tuple[int, int] | None:
        """Attempt and pid of the process that wrote it, where it is a beat."""
        if self.name != "Beat":
            return None
        attempt, pid, _ = self.message.split(":")
        return int(attempt), int(pid)


@dataclass(slots=True)
class Observed:
    """`runs` and `histories` by id (a run that the API does not know is in neither); `slots` by what they limit."""

    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    histories: dict[str, list[State]] = field(default_factory=dict)
    slots: dict[str, int] = field(default_factory=dict)


async def observe(api: Api, runs: Iterable[str], pool: str, deployments: Iterable[str]) -> Observed:
    seen = Observed()
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(run: str) -> None:
        async with gate:
            try:
                seen.runs[run] = await api.ask("GET", f"/flow_runs/{run}")
            except Refused as refusal:
                if refusal.status != 404:
                    raise
                return
            states = await api.ask("GET", f"/flow_run_states/?flow_run_id={run}")
            seen.histories[run] = sorted(map(_state, states), key=lambda state: state.time)

    await asyncio.gather(*(one(run) for run in dict.fromkeys(runs)))
    status = await api.ask("POST", f"/work_pools/{pool}/concurrency_status", {})
    seen.slots[f"pool {pool}"] = status["active_slots"]
    for queue in status["queues"]:
        seen.slots[f"queue {queue['queue_name']}"] = queue["active_slots"]
        if queue["concurrency_limit"] is not None:  # these count what limits count, not states
            free = await api.ask("GET", f"/work_pools/{pool}/backlog?queue={queue['queue_name']}")
            seen.slots[f"the limit of queue {queue['queue_name']}"] = queue["concurrency_limit"] - free["slots_free"]
    if status["concurrency_limit"] is not None:
        free = await api.ask("GET", f"/work_pools/{pool}/backlog")
        seen.slots[f"the limit of pool {pool}"] = status["concurrency_limit"] - free["slots_free"]
    for id in deployments:
        deployment = await api.ask("GET", f"/deployments/{id}")
        limit = deployment["global_concurrency_limit"]
        if limit is not None:
            seen.slots[f"deployment {deployment['name']}"] = limit["active_slots"]
    return seen


def _state(wire: dict[str, Any]) -> State:
    when = datetime.fromisoformat(wire["timestamp"].replace("Z", "+00:00")).timestamp()
    return State(wire["id"], wire["type"], wire["name"] or "", wire["message"] or "", when)
