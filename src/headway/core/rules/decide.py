"""How a command becomes a decision.

`decide` looks at one command against the world as it is; `absorb` moves the world on. A batch is
`for each command: decide, absorb`. An error (NotFound, FencedError, …) concerns its command alone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from headway.core import states
from headway.core.copying import replace
from headway.core.errors import FencedError, NotFound, OutdatedError
from headway.core.ids import new_id
from headway.core.rules import flow_policies, task_policies
from headway.core.rules.commands import (
    Claim,
    Command,
    CreateRun,
    Decision,
    EndAttempt,
    Ending,
    Propose,
    ProposeTask,
    Status,
    TaskChange,
)
from headway.core.rules.endings import Fate, crash, fate, may_still_run
from headway.core.rules.facts import Attempt, Facts, Policy, Run, Terms, World
from headway.core.rules.fencing import admit, attempt_after, check_fence
from headway.core.rules.table import Case, Reject, Verdict, Wait, follow
from headway.core.rules.transforms import enter, slots_after
from headway.core.states import State, StateType

__all__ = ["absorb", "decide", "run_key"]

AttemptOf = Callable[[Facts, Run], Attempt | None]


def decide(command: Command, world: World, now: datetime, terms: Terms) -> Decision:
    """The decision about one command. Raises the HeadwayError that answers it instead.

    Nothing is changed: `absorb` the decision before deciding the next command of the batch.
    """
    match command:
        case Propose():
            return _propose(command, world, now, terms)
        case ProposeTask():
            return _propose_task(command, world, now, terms)
        case CreateRun():
            return _create(command, world, now, terms)
        case Claim():
            return _claim(command, world, now, terms)
        case EndAttempt():
            return _end_attempt(command, world, now, terms)


def absorb(world: World, decision: Decision) -> None:
    """Move the world to where the decision leaves it."""
    if decision.created is not None and run_key(decision.created)[1] is not None:
        world.keys[run_key(decision.created)] = decision.created.run.id
    if decision.after is not None:
        world.put(decision.after)
    for change in decision.tasks:
        world.tasks[change.after.id] = change.after
    for followup in decision.followups:
        absorb(world, followup)


def run_key(command: CreateRun) -> tuple[UUID | None, str | None]:
    """What makes a run unique beside its id: its flow and idempotency key."""
    return command.run.flow_id, command.row.get("idempotency_key")


def _facts(world: World, run_id: UUID) -> Facts:
    if run_id not in world.runs:
        raise NotFound(f"There is no flow run {run_id}.")
    return world.facts(run_id)


def _proposed(state: State, now: datetime) -> State:
    """A proposal as it will be judged: the server's time, and a due time for what waits."""
    if state.is_scheduled and state.scheduled_time is None:
        state = state.with_details(scheduled_time=now)
    return replace(state, timestamp=now)


def _propose(command: Propose, world: World, now: datetime, terms: Terms) -> Decision:
    facts = _facts(world, command.run_id)
    admit(facts, command.state, command.caller, command.force)
    if command.only_from is not None and facts.run.type is not command.only_from:
        return Decision(Status.ABORT, f"The run is no longer {command.only_from.value}.", 0, facts, facts)

    def attempt_of(facts: Facts, run: Run) -> Attempt | None:
        return attempt_after(facts, run, command.caller, now, terms)

    policy = flow_policies.CORE
    if command.late:
        policy = flow_policies.LATE
    elif command.force:
        policy = flow_policies.FORCED
    case = Case(
        facts=facts,
        proposed=_proposed(command.state, now),
        now=now,
        terms=terms,
        caller=command.caller,
        renews_leases=command.renews_leases,
        policy=facts.run.policy,
    )
    step = follow(policy, case)
    if _crash_of_owned_process(command, facts, step):
        return _crashed_by_engine(command, facts, world, now)
    return _conclude(case, step, world, attempt_of)


def _conclude(case: Case[Facts], step: Case[Facts] | Verdict, world: World, attempt_of: AttemptOf) -> Decision:
    """Turn what the rules said into a decision with everything that follows from the written state."""
    facts, now = case.facts, case.now
    if isinstance(step, Case):
        policy = _policy_entering(step, facts)
        run = facts.run if policy is facts.run.policy else replace(facts.run, policy=policy)
        after, state = _write(facts, step.proposed, run, attempt_of)
        return _with_kin(Decision(Status.ACCEPT, None, 0, facts, after, (state,)), world, now, step.dropped_inputs)
    if isinstance(step, Reject) and step.state is not None:
        run = replace(facts.run, policy=step.policy or case.policy)
        run = replace(run, retries_used=run.retries_used + 1) if step.uses_retry else run
        after, state = _write(facts, replace(step.state, timestamp=now), run, attempt_of)
        return _with_kin(Decision(Status.REJECT, step.reason, 0, facts, after, (state,)), world, now)
    if isinstance(step, Reject):
        return Decision(Status.REJECT, step.reason, 0, facts, facts)
    if isinstance(step, Wait):
        return Decision(Status.WAIT, step.reason, step.seconds, facts, facts)
    return Decision(Status.ABORT, step.reason, 0, facts, facts)


def _policy_entering(step: Case[Facts], facts: Facts) -> Policy:
    """A run that is sent back to wait leaves its process: the next one may be any worker's."""
    if step.proposed.is_scheduled and step.policy.in_process and facts.run.type is not StateType.SCHEDULED:
        return replace(step.policy, retry_type="reschedule")
    return step.policy


def _write(facts: Facts, state: State, run: Run, attempt_of: AttemptOf) -> tuple[Facts, State]:
    """The facts once the run has entered `state`: columns, attempt, slots."""
    if facts.run.state is not None and facts.run.state.is_final and not state.is_final:
        run = replace(run, retries_used=0, start_failures=0)  # a manual restart resets the budget
    run, written = enter(run, state)
    after = replace(facts, run=run, attempt=attempt_of(facts, run))
    slots = slots_after(facts, after)
    return after if slots == facts.slots else replace(after, slots=slots), written


def _with_kin(decision: Decision, world: World, now: datetime, dropped: tuple[str, ...] = ()) -> Decision:
    """Add the parent's copy of the state and, when the run was cancelled, its children."""
    assert decision.after is not None
    run, state = decision.after.run, decision.written[-1]
    if run.parent_task_run_id is not None or dropped:
        decision = replace(decision, tasks=_parent_copy(run, state, world), dropped_inputs=dropped)
    if state.is_cancelled:
        return _cascade(decision, world, StateType.CANCELLED, "The parent run was cancelled.", now)
    return decision


def _parent_copy(run: Run, state: State, world: World) -> tuple[TaskChange, ...]:
    """A subflow's parent task run gets a forced copy of its state (CONTRACT §2.3)."""
    parent = None if run.parent_task_run_id is None else world.tasks.get(run.parent_task_run_id)
    if parent is None:
        return ()
    after, copy = enter(parent, replace(state, id=new_id()).with_details(child_flow_run_id=run.id))
    return (TaskChange(parent, after, replace(copy, details={**copy.details, "child_flow_run_id": str(run.id)})),)


def _cascade(decision: Decision, world: World, type: StateType, message: str, now: datetime) -> Decision:
    """End the unfinished task runs and inline subflows of a run that was cancelled or crashed.

    Child runs of a deployment have a process of their own: they are asked to cancel, or left alone.
    """
    assert decision.after is not None
    tasks, children = world.children(decision.after.run.id)
    changes, followups = list(decision.tasks), list(decision.followups)
    stand_ins = {child.parent_task_run_id for child in children}
    for task in tasks:
        if task.id not in stand_ins:
            after, state = enter(task, _end(type, message, now))
            changes.append(TaskChange(task, after, state))
    for child in children:
        if child.deployment_id is None:
            followups.append(_end_child(child, world, type, message, now))
        elif type is StateType.CANCELLED:
            followups.append(_propose(Propose(child.id, states.Cancelling(message)), world, now, Terms()))
    return replace(decision, tasks=tuple(changes), followups=tuple(followups))


def _end_child(child: Run, world: World, type: StateType, message: str, now: datetime) -> Decision:
    facts = world.facts(child.id)
    after, state = _write(facts, _end(type, message, now), child, lambda before, _: before.attempt)
    decision = Decision(Status.ACCEPT, None, 0, facts, after, (state,))
    return _cascade(replace(decision, tasks=_parent_copy(after.run, state, world)), world, type, message, now)


def _end(type: StateType, message: str, now: datetime) -> State:
    return State(type, states.default_name(type), message, timestamp=now)


def _propose_task(command: ProposeTask, world: World, now: datetime, terms: Terms) -> Decision:
    if command.task_run_id not in world.tasks:
        raise NotFound(f"There is no task run {command.task_run_id}.")
    facts = world.task_facts(command.task_run_id, command.state.details.get("cache_key"))
    policy = task_policies.CORE
    if command.force:
        policy = task_policies.FORCED
    elif command.state.details.get("deferred") or (facts.run.state and facts.run.state.details.get("deferred")):
        policy = task_policies.BACKGROUND
    case = Case(facts=facts, proposed=_proposed(command.state, now), now=now, terms=terms, policy=facts.run.policy)
    step = follow(policy, case)
    if isinstance(step, Case):
        after, state = enter(step.facts.run, step.proposed)
        return Decision(Status.ACCEPT, tasks=(TaskChange(facts.run, after, state),), task_state=state)
    if isinstance(step, Reject) and step.state is not None:
        after, state = enter(facts.run, replace(step.state, timestamp=now))
        return Decision(Status.REJECT, step.reason, tasks=(TaskChange(facts.run, after, state),), task_state=state)
    current = facts.run.state
    if isinstance(step, Reject):
        return Decision(Status.REJECT, step.reason, task_state=current)
    if isinstance(step, Wait):
        return Decision(Status.WAIT, step.reason, step.seconds, task_state=current)
    return Decision(Status.ABORT, step.reason, task_state=current)


def _create(command: CreateRun, world: World, now: datetime, terms: Terms) -> Decision:
    """A new run; one that a fenced engine makes without a deployment shares the attempt of its parent's root."""
    run, caller = command.run, command.caller
    existing = world.keys.get(run_key(command), run.id)
    if existing in world.runs:
        facts = world.facts(existing)
        return Decision(Status.REJECT, "The run exists.", 0, facts, facts)
    if command.based_on is not None and world.bases.get(run.deployment_id) != command.based_on:
        raise OutdatedError(f"Deployment {run.deployment_id} was changed or deleted meanwhile. Try again.")
    parent = run.parent_task_run_id
    if caller is not None and caller.fenced and parent is not None and run.deployment_id is None:
        run = replace(run, root_id=world.roots.get(parent))
    before = Facts(run, attempt=world.attempts.get(run.owner_id), deployment_exists=True)
    if caller is not None and caller.fenced and run.root_id is not None:
        check_fence(before.attempt, caller)
    created = replace(command, run=run)
    if command.state is None:
        return Decision(Status.ACCEPT, None, 0, before, before, created=created)
    case = Case(facts=before, proposed=_proposed(command.state, now), now=now, terms=terms, policy=run.policy)
    decision = _conclude(case, follow(flow_policies.FORCED, case), world, lambda facts, _: facts.attempt)
    return replace(decision, created=created)


def _claim(command: Claim, world: World, now: datetime, terms: Terms) -> Decision:
    facts = _facts(world, command.run_id)

    def open_attempt(facts: Facts, run: Run) -> Attempt | None:
        if run.state is None or not run.state.is_pending:
            return facts.attempt
        return Attempt(
            run_id=command.run_id,
            number=1 if facts.attempt is None else facts.attempt.number + 1,
            token=command.token,
            opened=now,
            lease_end=command.lease_end,
            claim_id=command.claim_id,
            worker_id=command.worker_id,
            worker_name=command.worker_name,
            work_pool_id=command.work_pool_id,
        )

    pending = states.Pending(f"Claimed by worker '{command.worker_name}'.")
    case = Case(facts=facts, proposed=_proposed(pending, now), now=now, terms=terms, policy=facts.run.policy)
    return _conclude(case, follow(flow_policies.CORE, case), world, open_attempt)


def _end_attempt(command: EndAttempt, world: World, now: datetime, terms: Terms) -> Decision:
    facts = _facts(world, command.run_id)
    attempt = facts.attempt
    if attempt is None or command.number > attempt.number:
        raise NotFound(f"Flow run {command.run_id} has no attempt {command.number}.")
    if command.number < attempt.number:  # a repeated report about the past
        return Decision(Status.ACCEPT, "The attempt has ended.", 0, facts, facts)
    if command.token is not None and command.token != attempt.token:
        raise FencedError(f"The token does not belong to attempt {command.number} of flow run {command.run_id}.")
    if not attempt.alive:
        repeated = bool((attempt.outcome or {}).get("retry_scheduled"))
        return Decision(Status.ACCEPT, "The attempt has ended.", 0, facts, facts, retry_scheduled=repeated)
    if command.event is Ending.STARTED:
        return _started(command, facts, attempt, now, terms)
    if command.event is Ending.LOST and may_still_run(facts.run, attempt, now, terms):
        return _await_stop(facts, attempt, now, terms)
    end = fate(command, facts.run, attempt, now, terms)
    return _settle(command, facts, attempt, end, world, now)


def _started(command: EndAttempt, facts: Facts, attempt: Attempt, now: datetime, terms: Terms) -> Decision:
    attempt = replace(
        attempt,
        reported=attempt.reported or now,
        worker_renewed=now,
        handle=command.handle or attempt.handle,
        lease_end=now + timedelta(seconds=terms.lease_ttl),
    )
    run = replace(facts.run, infrastructure_pid=command.infrastructure_pid or facts.run.infrastructure_pid)
    return Decision(Status.ACCEPT, None, 0, facts, replace(facts, run=run, attempt=attempt))


def _await_stop(facts: Facts, attempt: Attempt, now: datetime, terms: Terms) -> Decision:
    """A cancelled run whose worker is dead: it stays CANCELLING, and its attempt is kept for a worker to adopt."""
    message = f"Nothing is heard from worker '{attempt.worker_name}'; infrastructure may still run: "
    state = states.Cancelling(message + (facts.run.infrastructure_pid or str(dict(attempt.handle or {}))))
    run, written = enter(facts.run, replace(state, timestamp=now))
    held = replace(attempt, lease_end=now + timedelta(seconds=terms.cancel_timeout + terms.lease_ttl))
    return Decision(Status.ACCEPT, None, 0, facts, replace(facts, run=run, attempt=held), (written,))


def _settle(command: EndAttempt, facts: Facts, attempt: Attempt, end: Fate, world: World, now: datetime) -> Decision:
    """Write the states an ending asks for, end the attempt and free what it held, all at once."""
    run, written = _enter_all(end, now)
    outcome = {
        **{key: value for key, value in command.outcome.items() if value is not None},
        "event": command.event.value,
        "retry_scheduled": end.retry_scheduled,
        "state_id": str(run.state.id) if run.state else None,
    }
    ended = replace(attempt, ended=now, outcome=outcome, counts=end.counts, handle=command.handle or attempt.handle)
    return _ended(facts, replace(facts, run=run, attempt=ended), written, end.retry_scheduled, world, now)


def _enter_all(end: Fate, now: datetime) -> tuple[Run, tuple[State, ...]]:
    run, written = end.run, []
    for state in end.written:
        run, entered = enter(run, replace(state, timestamp=now))
        written.append(entered)
    return run, tuple(written)


def _ended(
    facts: Facts, after: Facts, written: tuple[State, ...], retrying: bool, world: World, now: datetime
) -> Decision:
    after = replace(after, slots=slots_after(facts, after))
    decision = Decision(Status.ACCEPT, None, 0, facts, after, written, retry_scheduled=retrying)
    if not written:
        return decision
    decision = replace(decision, tasks=_parent_copy(after.run, written[-1], world))
    if written[0].type not in (StateType.CRASHED, StateType.CANCELLED):
        return decision
    return _cascade(decision, world, written[0].type, f"The run's process is gone: {written[0].message}", now)


def _crash_of_owned_process(command: Propose, facts: Facts, step: Case[Facts] | Verdict) -> bool:
    """An engine that says it crashed is treated as the reaper would: its retries are looked at."""
    owned = facts.live_attempt is not None and facts.run.root_id is None
    return isinstance(step, Case) and command.state.is_crashed and not command.force and owned


def _crashed_by_engine(command: Propose, facts: Facts, world: World, now: datetime) -> Decision:
    """The process may still be ending: a claimed attempt lives on until its worker says so."""
    end = crash(facts.run, command.state.message or "The run crashed.", now)
    run, written = _enter_all(end, now)
    attempt = facts.attempt
    if attempt is not None and attempt.worker_id is None:
        attempt = replace(attempt, ended=now, outcome={"event": "ended", "retry_scheduled": end.retry_scheduled})
    decision = _ended(facts, replace(facts, run=run, attempt=attempt), written, end.retry_scheduled, world, now)
    if end.retry_scheduled:
        return replace(decision, status=Status.REJECT, reason="The run crashed and will be started again.")
    return decision
