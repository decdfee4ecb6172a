"""Short ways to say what a rule looks at."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from headway.core import states
from headway.core.ids import new_id
from headway.core.rules.commands import Decision, Propose
from headway.core.rules.decide import absorb, decide
from headway.core.rules.facts import Attempt, Caller, Limit, Run, Terms, World
from headway.core.rules.transforms import enter, slots_after
from headway.core.states import State, StateType

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
TERMS = Terms()
POOL, QUEUE, DEPLOYMENT = UUID(int=1), UUID(int=2), UUID(int=3)


def state(type: str, **more: Any) -> State:
    """A state of a type, entered a minute ago."""
    kind = StateType(type)
    details = more.pop("details", {})
    made = State(kind, more.pop("name", states.default_name(kind)), timestamp=NOW - timedelta(minutes=1), **more)
    if kind is StateType.SCHEDULED:
        details = {"scheduled_time": NOW - timedelta(minutes=1), **details}
    return made.with_details(**details)


def run_in(current: State | None, **more: Any) -> Run:
    """A deployment's run in a state, with the columns that the state brings along."""
    fields = {"deployment_id": DEPLOYMENT, "work_pool_id": POOL, "work_queue_id": QUEUE, **more}
    run = Run(new_id(), flow_id=UUID(int=9), **fields)
    if current is None:
        return run
    return replace(enter(run, current)[0], state=current)


def world_of(run: Run, attempt: Attempt | None = None, **limits: Limit) -> World:
    """A world with one run, whose slots follow its state."""
    world = World(runs={run.id: run}, deployments={DEPLOYMENT})
    for limit in limits.values():
        world.limits[limit.id] = limit
    if attempt is not None:
        world.attempts[run.owner_id] = attempt
    facts = world.facts(run.id)
    world.slots[run.id] = slots_after(facts, facts)
    return world


def attempt_of(run: Run, **more: Any) -> Attempt:
    fields = {"number": 1, "token": "secret", "opened": NOW, "lease_end": NOW + timedelta(seconds=20), **more}
    return Attempt(run_id=run.id, **fields)


def claimed(run: Run, **more: Any) -> Attempt:
    return attempt_of(run, **{"worker_id": UUID(int=7), "worker_name": "w1", "work_pool_id": POOL, **more})


def limit(kind: Any, used: int, of: int | None, **more: Any) -> Limit:
    ids = {"pool": POOL, "queue": QUEUE, "deployment": DEPLOYMENT}
    return Limit(kind, ids[kind], more.pop("name", kind), of, used, **more)


def propose(world: World, run: Run, proposed: State, **more: Any) -> Decision:
    decision = decide(Propose(run.id, proposed, **more), world, NOW, TERMS)
    absorb(world, decision)
    return decision


ENGINE = Caller(token="secret", nonce="n1", number=1)
