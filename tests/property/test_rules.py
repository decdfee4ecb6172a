"""Whatever is asked of runs, in whatever order, by whomever: the rules keep what DESIGN §3 promises.

Each example is a walk: commands on two runs of one deployment, decided one after the other as a batch would.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core import states
from headway.core.errors import FencedError, HeadwayError, LeaseLostError
from headway.core.rules.commands import Claim, Command, Decision, EndAttempt, Ending, Propose, Status
from headway.core.rules.decide import absorb, decide
from headway.core.rules.facts import Attempt, Caller, Facts, Limit, Policy, Run, Terms, World
from headway.core.rules.transforms import enter
from headway.core.states import OCCUPYING, State, StateType

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
TERMS = Terms()
POOL, QUEUE, DEPLOYMENT = UUID(int=1), UUID(int=2), UUID(int=3)
KINDS = {"pool": POOL, "queue": QUEUE, "deployment": DEPLOYMENT}


@dataclass
class Walk:
    """The world, and what was handed out in it."""

    world: World
    runs: list[UUID]
    now: datetime = NOW
    nonces: dict[tuple[UUID, int], str] = field(default_factory=dict)

    @classmethod
    def begin(cls, limits: dict[str, int | None], retries: int) -> Walk:
        world = World(deployments={DEPLOYMENT})
        for kind, of in limits.items():
            world.limits[KINDS[kind]] = Limit(kind, KINDS[kind], kind, of, 0)  # type: ignore[arg-type]
        ids = []
        for number in range(2):
            run = Run(
                UUID(int=100 + number),
                flow_id=UUID(int=9),
                deployment_id=DEPLOYMENT,
                work_pool_id=POOL,
                work_queue_id=QUEUE,
                policy=Policy(retries=retries),
            )
            run, _ = enter(run, states.Scheduled(NOW))
            world.runs[run.id] = run
            ids.append(run.id)
        return cls(world, ids)

    def caller(self, who: str, run: UUID) -> Caller | None:
        """Somebody: the run's own engine, another process of its attempt, an engine of an older one, or a person."""
        attempt = self.world.attempts.get(run)
        if who == "server":
            return None
        if who == "person" or attempt is None:
            return Caller() if who == "person" else Caller(nonce=f"{who}-{run}")
        if who == "older":
            return Caller(token="an older token", nonce="an older nonce", number=attempt.number - 1)
        return Caller(token=attempt.token, nonce=f"{who}-{attempt.number}", number=attempt.number)

    def command(self, what: tuple[str, Any], run: UUID) -> Command:
        kind, how = what
        attempt = self.world.attempts.get(run)
        if kind == "claim":
            return Claim(run, uuid4(), UUID(int=7), "w1", POOL, f"token {uuid4()}", self.now + timedelta(seconds=20))
        if kind == "end":
            event, stranger = how
            token = "not the token" if stranger else None if attempt is None else attempt.token
            token = None if event is Ending.LOST else token
            return EndAttempt(run, 1 if attempt is None else attempt.number, event, token, {"exit_code": 1})
        type, who, force = how
        state = State(type, states.default_name(type), timestamp=self.now, details={"transition_id": str(uuid4())})
        return Propose(run, state, force=force, caller=self.caller(who, run))

    def decided(self, command: Command) -> Decision | HeadwayError:
        """The decision, absorbed; or the error that answers instead. Any other error is a defect."""
        try:
            decision = decide(command, self.world, self.now, TERMS)
        except HeadwayError as error:
            return error
        absorb(self.world, decision)
        return decision


WHO = st.sampled_from(["engine", "engine", "engine", "twin", "older", "person", "server"])
USUAL = [StateType.RUNNING, StateType.RUNNING, StateType.COMPLETED, StateType.FAILED]
PROPOSALS = st.tuples(st.sampled_from([*StateType, *USUAL]), WHO, st.sampled_from([False, False, False, True]))
ENDS = st.tuples(st.sampled_from(list(Ending)), st.booleans())
COMMANDS = st.one_of(
    st.tuples(st.just("propose"), PROPOSALS),
    st.tuples(st.just("claim"), st.none()),
    st.tuples(st.just("end"), ENDS),
)
WALKS = st.lists(st.tuples(COMMANDS, st.integers(0, 1), st.sampled_from([0, 0, 1, 40])), min_size=14, max_size=40)
LIMITS = st.fixed_dictionaries({kind: st.sampled_from([None, 1, 1, 2]) for kind in KINDS})
RETRIES = st.integers(0, 2)


def walk(limits: dict[str, int | None], retries: int, steps: list[Any]) -> Any:
    """Yields (walk, command, facts before, decision or error) of each step."""
    way = Walk.begin(limits, retries)
    for what, which, seconds in steps:
        way.now += timedelta(seconds=seconds)
        run = way.runs[which]
        command, before = way.command(what, run), way.world.facts(run)
        yield way, command, before, way.decided(command)


@given(LIMITS, RETRIES, WALKS)
@settings(max_examples=60)
def test_a_final_state_is_left_only_by_a_restart_or_by_force(limits: Any, retries: int, steps: Any) -> None:
    for way, command, before, decision in walk(limits, retries, steps):
        after = way.world.facts(before.run.id)
        if final(before) and not final(after):
            assert isinstance(decision, Decision)
            if isinstance(command, Propose) and command.force:
                continue
            assert isinstance(command, Propose | Claim)
            assert after.run.type in (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING)
        if isinstance(decision, Decision) and isinstance(command, EndAttempt) and final(before):
            assert after.run.state == before.run.state, "the end of a process changes no final state"


@given(LIMITS, RETRIES, WALKS)
@settings(max_examples=60)
def test_what_is_recorded_of_a_run_agrees_with_its_state(limits: Any, retries: int, steps: Any) -> None:
    for way, _, before, decision in walk(limits, retries, steps):
        after = way.world.facts(before.run.id)
        run = after.run
        assert (run.end_time is not None) == final(after)
        assert run.next_scheduled_start_time is None or (run.state and run.state.is_scheduled)
        assert run.retries_used <= (run.policy.retries or 0)
        if isinstance(decision, Decision) and decision.written:
            stamps = [state.timestamp for state in decision.written]
            assert stamps == sorted(set(stamps)), "two states of a run at the same time"
            assert before.run.state is None or stamps[0] > before.run.state.timestamp
            assert decision.written[-1] == run.state


@given(LIMITS, RETRIES, WALKS)
@settings(max_examples=60)
def test_slots_are_exactly_those_of_the_runs_that_occupy(limits: Any, retries: int, steps: Any) -> None:
    for way, command, before, _ in walk(limits, retries, steps):
        for id in way.runs:
            facts = way.world.facts(id)
            occupies = facts.run.type in OCCUPYING or (
                facts.run.type is StateType.SCHEDULED and facts.run.policy.in_process
            )
            held = {slot.kind for slot in facts.slots}
            assert (held == set(KINDS)) if occupies else (held <= {"deployment"})
            assert not (held and not occupies and facts.live_attempt is None), "a slot that nobody lives in"
        for limit in (limit for limit in way.world.limits.values() if limit.limit is not None):
            assert limit.used == sum(any(s.limit_id == limit.id for s in slots) for slots in way.world.slots.values())
        after = way.world.facts(before.run.id)
        taken = {slot.kind for slot in after.slots} - {slot.kind for slot in before.slots}
        if isinstance(command, Claim) and after.run.type is StateType.PENDING:
            assert not any(over(way.world.limits[KINDS[kind]]) for kind in taken), "a claim went over a limit"


def over(limit: Limit) -> bool:
    return limit.limit is not None and limit.used > limit.limit


@given(LIMITS, RETRIES, WALKS)
@settings(max_examples=60)
def test_attempts_follow_each_other_and_never_come_back(limits: Any, retries: int, steps: Any) -> None:
    ended: set[tuple[UUID, int]] = set()
    for way, _, before, _ in walk(limits, retries, steps):
        old, new = before.attempt, way.world.facts(before.run.id).attempt
        if new is None:
            assert old is None
            continue
        if old is not None:
            assert new.number in (old.number, old.number + 1)
            assert new.number == old.number or not old.alive, "two live attempts of one run"
            assert new.number != old.number or same_owner(old, new)
        assert not (new.alive and (new.run_id, new.number) in ended), "an attempt came back to life"
        if not new.alive:
            ended.add((new.run_id, new.number))


def same_owner(old: Attempt, new: Attempt) -> bool:
    return old.token == new.token and old.nonce in (None, new.nonce)


@given(LIMITS, RETRIES, WALKS)
@settings(max_examples=80)
def test_only_the_owner_of_an_attempt_writes(limits: Any, retries: int, steps: Any) -> None:
    for way, command, before, decision in walk(limits, retries, steps):
        if not isinstance(command, Propose) or command.caller is None:
            continue
        written = isinstance(decision, Decision) and decision.written
        attempt, caller, type = before.live_attempt, command.caller, command.state.type
        if not written or type is StateType.CANCELLING or attempt is None:
            continue
        if caller.fenced:
            assert attempt.worker_id is None or caller.token == attempt.token
            assert attempt.nonce is None or caller.nonce == attempt.nonce
        elif attempt.bound:
            assert command.force or final(before), f"a write without a token made {type}"
        assert way.world.attempts[before.run.id].number == attempt.number or final(before)


@given(LIMITS, RETRIES, WALKS)
@settings(max_examples=60)
def test_repeating_a_command_changes_nothing_more(limits: Any, retries: int, steps: Any) -> None:
    for way, command, before, decision in walk(limits, retries, steps):
        if not isinstance(decision, Decision):
            continue
        first = way.world.facts(before.run.id)
        if isinstance(command, Claim) or (isinstance(command, Propose) and command.force):
            continue  # the store recognises a claim by its id; force is said once
        if isinstance(command, Propose) and decision.status is not Status.ACCEPT:
            continue
        again = way.decided(command)
        if isinstance(again, Decision):
            assert way.world.facts(before.run.id).run.state == first.run.state
            assert not again.written
            assert way.world.facts(before.run.id).slots == first.slots
        else:
            assert isinstance(again, FencedError | LeaseLostError), "its own attempt has ended with it"


@given(LIMITS, RETRIES, WALKS)
@settings(max_examples=40)
def test_deciding_changes_nothing(limits: Any, retries: int, steps: Any) -> None:
    for way, command, _, _ in walk(limits, retries, steps):
        before = {id: way.world.facts(id) for id in way.runs}
        limited = dict(way.world.limits)
        outcomes = []
        for _ in range(2):
            try:
                decision = decide(command, way.world, way.now, TERMS)
                outcomes.append((decision.status, [state.type for state in decision.written]))
            except HeadwayError as error:
                outcomes.append((type(error), []))
        assert {id: way.world.facts(id) for id in way.runs} == before
        assert way.world.limits == limited
        assert outcomes[0] == outcomes[1]


def final(facts: Facts) -> bool:
    return facts.run.state is not None and facts.run.state.is_final
