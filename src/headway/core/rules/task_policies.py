"""The policies for task runs whose states come over REST: CONTRACT §2.2.

Ordinary tasks never do this; their states arrive as events. Tag limits come in with the global limits.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from headway.core import states
from headway.core.copying import replace
from headway.core.rules.facts import Policy, TaskFacts
from headway.core.rules.flow_policies import persisted
from headway.core.rules.table import ANY, Abort, Reject, Rule, Table, TaskCase, Verdict, Wait, task_of
from headway.core.states import TERMINAL, StateType

__all__ = ["BACKGROUND", "CORE", "FORCED"]

S = StateType
Answer = TaskCase | Verdict


def read_cache(case: TaskCase) -> Answer:
    """RUNNING with a known cache key becomes the cached COMPLETED, unless a refresh is asked for."""
    details = case.proposed.details
    cached = case.facts.cached
    if not details.get("cache_key") or details.get("refresh_cache") or cached is None:
        return case
    state = replace(states.Completed(name="Cached", data=cached.data), details=dict(cached.details))
    return Reject("Retrieved state from cache.", state)


def leave_final(case: TaskCase) -> Answer:
    """Like a flow run's, and a new life starts counting its runs anew."""
    initial, proposed = case.initial, case.proposed
    if proposed.type in (S.CANCELLING, S.PAUSED, S.CRASHED):
        return Abort("Cannot transition from final states to cancelling, paused or crashed.")
    if proposed.is_final or initial is None:
        return case
    if initial.is_completed and persisted(initial.data):
        return Reject("Task run is already COMPLETED.")
    if case.facts.flow_run_run_count > task_of(case).flow_run_run_count:
        case = case.propose(replace(proposed, name="Retrying")) if proposed.is_running else case
    return replace(case, facts=replace(case.facts, run=replace(task_of(case), run_count=0)))


def need_running_flow(case: TaskCase) -> Answer:
    """A task runs only while its flow run does."""
    run, flow_state = task_of(case), case.facts.flow_run_state
    if run.flow_run_id is None:
        return case
    if flow_state is None:
        return Abort("The flow run of this task run does not exist.")
    if flow_state.is_paused:
        timeout = flow_state.pause_timeout
        return Reject("The flow is paused.", states.Paused(name="NotReady", pause_timeout=timeout))
    if not flow_state.is_running:
        return Abort(f"The flow run is {flow_state.type.value}, not RUNNING; its tasks cannot run.")
    return case


def refuse_pending(case: TaskCase) -> Answer:
    """A background task that somebody has taken, or that ended, is not handed out again."""
    initial = case.initial
    return Abort(f"This task run is {'new' if initial is None else initial.type.value} and cannot become PENDING.")


def secure_tag_slots(case: TaskCase) -> Answer:
    """A full tag waits, a tag with limit 0 never lets a task run."""
    if case.facts.closed_tag is not None:
        return Abort(f"The concurrency limit of tag '{case.facts.closed_tag}' is 0.")
    if case.facts.full_tag is not None:
        return Wait(f"Concurrency limit of tag '{case.facts.full_tag}' reached.", math.ceil(case.terms.task_slot_wait))
    return case


def keep_scheduled_time(case: TaskCase) -> Answer:
    return case.details(scheduled_time=None if case.initial is None else case.initial.scheduled_time)


def wait_until_due(case: TaskCase) -> Answer:
    due = None if case.initial is None else case.initial.scheduled_time
    if due is None or due <= case.now:
        return case
    seconds = max(1, math.ceil((due - case.now).total_seconds()))
    return Wait(f"The task run is scheduled for {due.isoformat()}.", seconds)


def retry(case: TaskCase) -> Answer:
    """RUNNING to FAILED with retries left waits for the next try, unless the failure says `retriable: false`."""
    run, failed = task_of(case), case.proposed
    policy = run.policy
    if failed.details.get("retriable") is False or not policy.retries or run.run_count > policy.retries:
        return case
    at = case.now + timedelta(seconds=_delay(policy, run.run_count))
    return Reject("Retrying", states.AwaitingRetry(at, message=failed.message, data=failed.data))


def _delay(policy: Policy, run_count: int) -> float:
    base: Any = policy.retry_delay or 0
    if isinstance(base, Sequence):
        base = base[min(max(run_count, 1), len(base)) - 1] if base else 0
    if policy.retry_jitter_factor:
        base = base * (1 + random.uniform(0, policy.retry_jitter_factor))
    return float(base)


def name_reruns(case: TaskCase) -> Answer:
    """A second run is Retrying after a retry, Rerunning otherwise."""
    initial, run = case.initial, task_of(case)
    if initial is None or case.proposed.name != "Running" or run.run_count == 0:
        return case
    return case.propose(replace(case.proposed, name="Retrying" if initial.name == "AwaitingRetry" else "Rerunning"))


def track_flow_run(case: TaskCase) -> Answer:
    """The task run remembers which run of its flow it belongs to."""
    run = replace(task_of(case), flow_run_run_count=case.facts.flow_run_run_count)
    return replace(case, facts=replace(case.facts, run=run))


_FINAL = frozenset[StateType | None](TERMINAL)
_RUNNING = frozenset[StateType | None]({S.RUNNING})
_PENDING = frozenset[StateType | None]({S.PENDING})
_SCHEDULED = frozenset[StateType | None]({S.SCHEDULED})

CORE = Table[TaskFacts](
    Rule(read_cache, ANY, _RUNNING),
    Rule(leave_final, _FINAL, ANY),
    Rule(need_running_flow, ANY, _RUNNING),
    Rule(secure_tag_slots, ANY - _RUNNING, _RUNNING),
    Rule(keep_scheduled_time, _SCHEDULED, _PENDING),
    Rule(wait_until_due, _SCHEDULED | _PENDING, _RUNNING),
    Rule(retry, _RUNNING, frozenset({S.FAILED})),
    Rule(name_reruns, ANY, _RUNNING),
    Rule(track_flow_run, ANY, _RUNNING),
)

BACKGROUND = Table[TaskFacts](
    Rule(refuse_pending, ANY - _SCHEDULED, _PENDING),
    Rule(read_cache, ANY, _RUNNING),
    Rule(leave_final, _FINAL, ANY),
    Rule(keep_scheduled_time, _SCHEDULED, _PENDING),
    Rule(wait_until_due, _SCHEDULED | _PENDING, _RUNNING),
    Rule(retry, _RUNNING, frozenset({S.FAILED})),
    Rule(name_reruns, ANY, _RUNNING),
)
"""For deferred task runs, which a task worker starts."""

FORCED = Table[TaskFacts]()
