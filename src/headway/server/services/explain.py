"""Why a run is not running: every reason at once, from the facts that polling and claiming use (DESIGN §3).

`BLOCKING` reasons keep the run from being handed out; the others say why nobody asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from headway.core.clock import Clock
from headway.core.rules.facts import Attempt
from headway.core.states import State, StateType
from headway.store.protocols import Situation, Situations
from headway.wire.base import MAX_LIMIT
from headway.wire.explain import Explanation, Reason

__all__ = ["BLOCKING", "ExplainService"]

Reasons = Iterable[Reason]

BLOCKING = frozenset(
    {
        "not_scheduled",
        "in_process_retry",
        "attempt_not_ended",
        "waiting_for_retry",
        "not_due",
        "no_pool",
        "no_queue",
        "deployment_gone",
        "pool_paused",
        "queue_paused",
        "deployment_paused",
        "pool_limit",
        "queue_limit",
        "deployment_limit",
        "behind_others",
    }
)
"""Codes that come with `claimable: false`."""


class ExplainService:
    """`GET /flow_runs/{id}/explain`."""

    def __init__(self, store: Situations, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def explain(self, run_id: UUID) -> Explanation:
        """`claimable` is true exactly when a poll at this moment returns the run."""
        now = self._clock.now()
        situation = await self._store.situation(run_id, now, MAX_LIMIT)
        return Explanation(claimable=situation.claimable, reasons=list(reasons(situation, now)))


def reasons(situation: Situation, now: datetime) -> Reasons:
    """All that holds the run back, most particular first."""
    found = [*_state(situation, now), *_place(situation), *_paused(situation), *_limits(situation)]
    if not situation.claimable and not found:
        found.append(_behind(situation))
    yield from found
    if not any(reason.code == "not_scheduled" for reason in found):
        yield from _workers(situation)


def _state(situation: Situation, now: datetime) -> Reasons:
    run, state = situation.facts.run, situation.facts.run.state
    if state is None or state.type is not StateType.SCHEDULED:
        yield _not_scheduled(state, situation.facts.live_attempt)
        return
    if run.policy.in_process:
        text = "The run waits for a retry inside its own process; no worker may start it."
        yield Reason("in_process_retry", text, {"due": _iso(situation.due)})
        return
    attempt = situation.facts.live_attempt
    if attempt is not None:
        text = f"The process of attempt {attempt.number} has not ended yet."
        yield Reason("attempt_not_ended", text, {"attempt": attempt.number, "worker": attempt.worker_name})
    if situation.due is not None and situation.due > now:
        yield _not_due(state.name, situation.due, now)


def _not_scheduled(state: State | None, attempt: Attempt | None) -> Reason:
    """What state it is in, why, and who has it."""
    words = "has no state" if state is None else f"is {state.name}"
    text = f"The run {words}; only scheduled runs wait for a worker."
    facts: dict[str, Any] = {"state_type": None, "state_name": None}
    if state is not None:
        facts = {"state_type": state.type.value, "state_name": state.name, "message": state.message}
        text += f" {state.message}" if state.message else ""
    if attempt is not None:
        facts |= {"attempt": attempt.number, "worker": attempt.worker_name}
        place = f", on worker '{attempt.worker_name}'" if attempt.worker_name else ""
        text += f" Attempt {attempt.number} has it{place}."
    return Reason("not_scheduled", text, facts)


def _not_due(name: str, due: datetime, now: datetime) -> Reason:
    seconds = (due - now).total_seconds()
    facts = {"due": due.isoformat(), "seconds": seconds}
    if name == "AwaitingRetry":
        return Reason("waiting_for_retry", f"The run waits for its next attempt, in {math.ceil(seconds)} s.", facts)
    return Reason("not_due", f"The run is not due before {due:%Y-%m-%d %H:%M:%S} UTC, in {_span(seconds)}.", facts)


def _span(seconds: float) -> str:
    """A time to wait in the largest unit that says something."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{math.ceil(seconds)} s"


def _place(situation: Situation) -> Reasons:
    run = situation.facts.run
    if run.deployment_id is not None and situation.deployment is None:
        yield Reason("deployment_gone", "The deployment of this run no longer exists.", {})
    if situation.pool is None and run.deployment_id is None:
        yield Reason("no_pool", "The run has neither a work pool nor a deployment; no worker can find it.", {})
    elif situation.pool is not None and situation.queue is None:
        text = f"The run is in no work queue of work pool '{situation.pool['name']}'."
        yield Reason("no_queue", text, {"work_pool": situation.pool["name"]})
    elif situation.pool is not None and situation.queue is not None:
        yield from _wrong_queue(situation.pool, situation.queue)


def _wrong_queue(pool: Mapping[str, Any], queue: Mapping[str, Any]) -> Reasons:
    if queue["work_pool_id"] != pool["id"]:
        text = f"Work queue '{queue['name']}' is not a queue of work pool '{pool['name']}'."
        yield Reason("no_queue", text, {"work_pool": pool["name"], "work_queue": queue["name"]})


def _paused(situation: Situation) -> Reasons:
    for code, row, noun, column in (
        ("pool_paused", situation.pool, "Work pool", "is_paused"),
        ("queue_paused", situation.queue, "Work queue", "is_paused"),
        ("deployment_paused", situation.deployment, "Deployment", "paused"),
    ):
        if row is not None and row[column]:
            yield Reason(code, f"{noun} '{row['name']}' is paused.{_resume(code, situation)}", {"name": row["name"]})


def _resume(code: str, situation: Situation) -> str:
    pool, queue = situation.pool, situation.queue
    if code == "pool_paused" and pool is not None:
        return f" Resume it with: headway work-pool resume {pool['name']}"
    if code == "queue_paused" and pool is not None and queue is not None:
        return f" Resume it with: headway work-queue resume {queue['name']} --pool {pool['name']}"
    return ""


def _limits(situation: Situation) -> Reasons:
    state = situation.facts.run.state
    if state is None or state.type is not StateType.SCHEDULED:
        return
    for kind, limit in situation.facts.limits.items():
        if limit.full and not situation.facts.holds(kind):
            facts = {"name": limit.name, "limit": limit.limit, "used": limit.used}
            yield Reason(f"{kind}_limit", limit.words + ".", facts)


def _behind(situation: Situation) -> Reason:
    text = f"{situation.ahead} runs are before it in line, and take what is free."
    return Reason("behind_others", text, {"ahead": situation.ahead})


def _workers(situation: Situation) -> Reasons:
    pool, queue = situation.pool, situation.queue
    if pool is None or queue is None:
        return
    if not situation.workers:
        command = f"headway worker start --pool {pool['name']}"
        text = f"Work pool '{pool['name']}' has no live worker. Start one with: {command}"
        yield Reason("no_worker", text, {"work_pool": pool["name"]})
        return
    serving = [
        worker for worker in situation.workers if not worker["work_queues"] or queue["name"] in worker["work_queues"]
    ]
    if not serving:
        served = sorted({name for worker in situation.workers for name in worker["work_queues"]})
        text = (
            f"No worker of work pool '{pool['name']}' serves '{queue['name']}' (workers serve: {', '.join(served)}). "
            f"Start one with: headway worker start --pool {pool['name']} --work-queue {queue['name']}"
        )
        yield Reason("queue_not_served", text, {"work_queue": queue["name"], "served": served})
    elif all(_at_limit(worker) for worker in serving):
        for worker in serving:
            limit, busy = worker["concurrency_limit"], worker["busy"]
            text = f"Worker '{worker['name']}' is at its limit: {busy} of {limit}."
            yield Reason("worker_at_limit", text, {"worker": worker["name"], "limit": limit, "used": busy})


def _at_limit(worker: Mapping[str, Any]) -> bool:
    limit = worker["concurrency_limit"]
    return limit is not None and worker["busy"] >= limit


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
