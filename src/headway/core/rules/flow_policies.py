"""The policies for flow runs: CONTRACT §2.1, one short function per rule, in the order of the tables below."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from headway.core import states
from headway.core.copying import replace
from headway.core.ids import new_id
from headway.core.rules.facts import Facts
from headway.core.rules.table import ANY, Abort, FlowCase, Reject, Rule, Table, Verdict, Wait, run_of
from headway.core.rules.transforms import LEASE
from headway.core.states import OCCUPYING, TERMINAL, State, StateType

__all__ = ["CORE", "FORCED", "LATE"]

S = StateType
Answer = FlowCase | Verdict


def keep_lease_id(case: FlowCase) -> Answer:
    """Rule 1: workers send no lease id; the old state's is carried on."""
    held = None if case.initial is None else case.initial.details.get(LEASE)
    if held and not case.proposed.details.get(LEASE):
        return case.details(**{LEASE: held})
    return case


def refuse_duplicates(case: FlowCase) -> Answer:
    """Rule 2: the same transition id again is a client's retry; it gets the state it already made."""
    if case.initial and case.proposed.transition_id and case.initial.transition_id == case.proposed.transition_id:
        return Reject("This transition was already made.")
    return case


def persisted(data: Any) -> bool:
    """Whether a state's data refers to a result that somebody can still read."""
    return data is not None and not (isinstance(data, Mapping) and data.get("type") == "unpersisted")


def keep_results(case: FlowCase) -> Answer:
    """Rule 3, the part that holds even when forced: a kept result is not dropped by another COMPLETED."""
    initial = case.initial
    if initial and initial.is_completed and persisted(initial.data) and not persisted(case.proposed.data):
        return Reject("Run is already COMPLETED, and its result would be lost.")
    return case


def leave_final(case: FlowCase) -> Answer:
    """Rule 3: what may follow a final state, and a manual restart's clean slate."""
    initial, proposed, caller = case.initial, case.proposed, case.caller
    own = caller is not None and caller.fenced and case.facts.live_attempt is not None
    if own and run_of(case).root_id is None and not proposed.is_final:
        # A write of the process that ended it, overtaken by that end on the way: a restart is never its own.
        return Abort("The run has ended, and its process with it.")
    if proposed.type in (S.CANCELLING, S.PAUSED, S.CRASHED):
        return Abort("Cannot transition from final states to cancelling, paused or crashed.")
    if proposed.is_final:
        return case
    if initial and initial.is_completed and persisted(initial.data):
        return Reject("Run is already COMPLETED.")
    if proposed.is_scheduled and run_of(case).deployment_id is None:
        return Abort("Only runs of a deployment can be scheduled again; start this one's flow instead.")
    retry_type = "reschedule" if proposed.is_scheduled else None
    return case.change(resuming=False, pause_keys=frozenset(), retry_type=retry_type)


def finish_cancelling(case: FlowCase) -> Answer:
    """Rule 4: nothing but CANCELLED follows CANCELLING."""
    return Reject("The run is being cancelled; only CANCELLED can follow.")


def cancel_without_infrastructure(case: FlowCase) -> Answer:
    """Rule 5: what has no process is cancelled at once."""
    initial, run = case.initial, run_of(case)
    if initial is None or case.facts.live_attempt is not None:
        return case
    if case.facts.attempt is not None:  # it has ended, so whatever infrastructure there was is gone
        alone = True
    elif initial.is_scheduled:
        alone = run.infrastructure_pid is None or initial.name == "Resuming"
    else:
        alone = bool(initial.details.get("pause_reschedule"))
    if not alone or run.policy.in_process:
        return case
    return Reject("The run has no infrastructure to stop.", states.Cancelled(case.proposed.message))


def refuse_second_owner(case: FlowCase) -> Answer:
    """Rule 6: PENDING is how a run is taken; it can be taken once."""
    initial, proposed = case.initial, case.proposed
    if initial is None:
        return case
    if initial.is_pending and proposed.name not in ("Pending", initial.name):
        carried = {key: initial.details.get(key) for key in ("scheduled_time", LEASE)}
        return case.details(**{key: value for key, value in carried.items() if value})
    return Abort(f"This run is in a {initial.type.value} state and cannot transition to a PENDING state.")


def refuse_leased(case: FlowCase) -> Answer:
    """DESIGN §3: a run whose last process has not ended yet is not handed out again."""
    attempt = case.facts.live_attempt
    if attempt is None or run_of(case).root_id is not None:
        return case
    caller = case.caller
    if caller is not None and caller.fenced:  # its own engine, already checked against the attempt
        return case
    return Abort(f"Attempt {attempt.number} of this run has not ended yet.")


def respect_pool_and_queue(case: FlowCase) -> Answer:
    """DESIGN §3: PENDING over a pool's or queue's limit is aborted with the reason; the run stays as it is."""
    for kind in ("pool", "queue"):
        limit = case.facts.limits.get(kind)
        if limit is not None and limit.full and not case.facts.holds(kind):
            return Abort(limit.words + ".")
    return case


def secure_deployment_slot(case: FlowCase) -> Answer:
    """Rule 8: a deployment's limit is taken with PENDING; its lease id is shown in the state."""
    facts = case.facts
    if not facts.deployment_exists:
        return Abort("The deployment of this run no longer exists.")
    limit = facts.limits.get("deployment")
    if limit is None or limit.limit is None or facts.holds("deployment"):
        return case
    if limit.limit == 0:
        return Abort("The deployment's concurrency limit is 0; the run could never start.")
    if not limit.full:
        return case.details(**{LEASE: new_id()})
    if limit.cancel_new:
        return Reject(limit.words + ".", states.Cancelled(f"{limit.words}; new runs are cancelled."))
    at = case.now + timedelta(seconds=case.terms.slot_wait)
    return Reject(limit.words + ".", states.AwaitingConcurrencySlot(at, message=limit.words + "."))


def confirm_deployment_slot(case: FlowCase) -> Answer:
    """Rule 7: a slot that was lost before RUNNING is taken anew, or the run is cancelled.

    Rule 9 (old clients cannot renew) has nothing to do here: a slot is a row that ends with its state or
    its attempt, never by itself.
    """
    limit = case.facts.limits.get("deployment")
    if not case.renews_leases or limit is None or limit.limit is None or case.facts.holds("deployment"):
        return case
    if limit.full:
        reason = f"{limit.words}; the slot this run had was given to another."
        return Reject(reason, states.Cancelled(reason))
    return case.details(**{LEASE: new_id()})


def only_scheduled_is_late(case: FlowCase) -> Answer:
    """Rule 10: Late is said once, and only of what waits."""
    if case.proposed.name != "Late":
        return case
    initial = case.initial
    if initial is None or not initial.is_scheduled or initial.name == "Late":
        return Reject("Only scheduled runs that are not late yet can be marked Late.")
    return case


def pause(case: FlowCase) -> Answer:
    """Rule 11: only a running run pauses, once per key; only a deployment's own run suspends."""
    initial, run, details = case.initial, run_of(case), case.proposed.details
    if initial is None:
        return Abort("Cannot pause a run that has no state.")
    verb = "suspend" if details.get("pause_reschedule") else "pause"
    if not initial.is_running:
        return Reject(f"Cannot {verb} a run that is not running.")
    key = details.get("pause_key")
    if key is not None and key in run.policy.pause_keys:
        return Reject("This pause has already happened.")
    if verb == "suspend" and run.parent_task_run_id is not None:
        return Abort("Cannot suspend a subflow.")
    if verb == "suspend" and run.deployment_id is None:
        return Abort("Cannot suspend a run without a deployment: nobody could start it again.")
    if key is not None:
        case = case.change(pause_keys=run.policy.pause_keys | {key})
    keyset = details.get("run_input_keyset") or {}
    return replace(case, dropped_inputs=tuple(keyset[k] for k in ("response",) if k in keyset))


def resume(case: FlowCase) -> Answer:
    """Rule 12: where a paused run may go, and in time."""
    initial, proposed, run = case.initial, case.proposed, run_of(case)
    if initial is None:
        return case
    suspended = bool(initial.details.get("pause_reschedule"))
    if not proposed.is_final and proposed.type not in (S.RUNNING, S.SCHEDULED, S.CANCELLING):
        return Reject(f"This run is paused and cannot transition to {proposed.type.value}.")
    if suspended and run.deployment_id is None and not proposed.is_final:
        return Reject("Cannot reschedule a paused run without a deployment.")
    if proposed.is_cancelling:
        return case
    timeout = initial.pause_timeout
    if timeout is not None and timeout < case.now:
        return Reject("The pause has timed out.", states.Failed("The run was paused and never resumed."))
    if proposed.is_scheduled and not suspended:
        return case.change(resuming=False, pause_keys=frozenset(), retry_type="reschedule")
    if proposed.is_scheduled and run.policy.in_process:  # its process is gone: any worker may take it
        return case.change(resuming=True, retry_type="reschedule")
    return case.change(resuming=True)


def keep_scheduled_time(case: FlowCase) -> Answer:
    """Rule 13: PENDING remembers when the run was due."""
    return case.details(scheduled_time=None if case.initial is None else case.initial.details.get("scheduled_time"))


def wait_until_due(case: FlowCase) -> Answer:
    """Rule 14: RUNNING before the due time waits, in whole seconds."""
    due = None if case.initial is None else case.initial.scheduled_time
    if due is None or due <= case.now:
        return case
    return Wait(f"The run is scheduled for {due.isoformat()}.", max(1, math.ceil((due - case.now).total_seconds())))


def retry_in_process(case: FlowCase) -> Answer:
    """Rule 15: a failure that has retries left waits for the next try in its own process.

    The budget is shared with crashes (DESIGN §3); a manual restart resets it.
    """
    run, failed = run_of(case), case.proposed
    if run.policy.retries is None or run.retries_used >= run.policy.retries:
        return case.change(retry_type=None)
    at = case.now + timedelta(seconds=run.policy.retry_delay or 0)
    retry = states.AwaitingRetry(at, message=failed.message, data=failed.data)
    policy = replace(case.policy, retry_type="in_process", pause_keys=frozenset(), resuming=False)
    return Reject("Retrying", _carry_lease(case, retry), policy, uses_retry=True)


def _carry_lease(case: FlowCase, state: State) -> State:
    held = None if case.initial is None else case.initial.details.get(LEASE)
    return state.with_details(**{LEASE: held}) if held else state


def cancel_new_on_late(case: FlowCase) -> Answer:
    """A late run of a full deployment that cancels new ones is cancelled, not marked (CONTRACT §2.1, Late)."""
    limit = case.facts.limits.get("deployment")
    if limit is not None and limit.full and limit.cancel_new and not case.facts.holds("deployment"):
        return Reject(limit.words + ".", states.Cancelled(f"{limit.words}; new runs are cancelled."))
    return case


def _types(*types: StateType | None) -> frozenset[StateType | None]:
    return frozenset(types)


_FINAL = frozenset[StateType | None](TERMINAL)
_FREE = ANY - OCCUPYING
_NOT_CANCELLED = ANY - {S.CANCELLED}

CORE = Table[Facts](
    Rule(keep_lease_id, ANY, ANY - _FINAL),
    Rule(refuse_duplicates, ANY, ANY),
    Rule(keep_results, _types(S.COMPLETED), _types(S.COMPLETED)),
    Rule(leave_final, _FINAL, ANY),
    Rule(finish_cancelling, _types(S.CANCELLING), _NOT_CANCELLED),
    Rule(cancel_without_infrastructure, _types(S.SCHEDULED, S.PAUSED), _types(S.CANCELLING)),
    Rule(refuse_second_owner, _types(*OCCUPYING, S.CANCELLED), _types(S.PENDING)),
    Rule(refuse_leased, _FREE, _types(S.PENDING)),
    Rule(confirm_deployment_slot, _types(S.PENDING), _types(S.RUNNING)),
    Rule(respect_pool_and_queue, _FREE, _types(S.PENDING)),
    Rule(secure_deployment_slot, _FREE, _types(S.PENDING)),
    Rule(only_scheduled_is_late, ANY, _types(S.SCHEDULED)),
    Rule(pause, ANY, _types(S.PAUSED)),
    Rule(resume, _types(S.PAUSED), ANY),
    Rule(keep_scheduled_time, _types(S.SCHEDULED), _types(S.PENDING)),
    Rule(wait_until_due, _types(S.SCHEDULED, S.PENDING), _types(S.RUNNING)),
    Rule(retry_in_process, _types(S.RUNNING), _types(S.FAILED)),
)
"""What an unforced set_state goes through."""

FORCED = Table[Facts](
    Rule(keep_lease_id, ANY, ANY - _FINAL),
    Rule(keep_results, _types(S.COMPLETED), _types(S.COMPLETED)),
    Rule(cancel_without_infrastructure, _types(S.SCHEDULED, S.PAUSED), _types(S.CANCELLING)),
)
"""What even force, and a run created with a state, goes through."""

LATE = Table[Facts](
    Rule(only_scheduled_is_late, ANY, _types(S.SCHEDULED)),
    Rule(cancel_new_on_late, _types(S.SCHEDULED), _types(S.SCHEDULED)),
)
"""What the late loop's proposals go through."""
