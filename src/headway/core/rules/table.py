"""How a policy is written down: an ordered table of rules, each for some transitions, and what one may answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from headway.core.copying import replace
from headway.core.rules.facts import Caller, Facts, Policy, Run, TaskFacts, TaskRun, Terms
from headway.core.states import State, StateType

__all__ = ["Abort", "Case", "Reject", "Rule", "Step", "Table", "Wait", "follow"]

F = TypeVar("F", Facts, TaskFacts)
Pair = StateType | None

ANY: frozenset[Pair] = frozenset({None, *StateType})


@dataclass(frozen=True, slots=True)
class Case(Generic[F]):
    """One transition under judgement. Rules answer with a changed copy."""

    facts: F
    proposed: State
    now: datetime
    terms: Terms
    policy: Policy
    caller: Caller | None = None
    renews_leases: bool = True
    dropped_inputs: tuple[str, ...] = ()

    @property
    def initial(self) -> State | None:
        return self.facts.run.state

    @property
    def from_type(self) -> Pair:
        state = self.facts.run.state
        return None if state is None else state.type

    def propose(self, state: State) -> Case[F]:
        return replace(self, proposed=state)

    def details(self, **changes: object) -> Case[F]:
        return replace(self, proposed=self.proposed.with_details(**changes))

    def change(self, **policy: object) -> Case[F]:
        return replace(self, policy=replace(self.policy, **policy))


@dataclass(frozen=True, slots=True)
class Reject:
    """Another state is written instead; with None nothing is, and the current state is the answer."""

    reason: str
    state: State | None = None
    policy: Policy | None = None
    uses_retry: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is written; propose again in that many whole seconds."""

    reason: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Abort:
    """Nothing is written, and the caller must give up."""

    reason: str


Verdict = Reject | Wait | Abort
Step = Case[F] | Verdict
FlowCase = Case[Facts]
TaskCase = Case[TaskFacts]


@dataclass(frozen=True, slots=True)
class Rule(Generic[F]):
    """One rule of one policy: applies to transitions from any of `froms` to any of `tos`."""

    check: Callable[[Case[F]], Case[F] | Verdict]
    froms: frozenset[Pair]
    tos: frozenset[Pair]

    @property
    def name(self) -> str:
        return self.check.__name__


class Table(Generic[F]):
    """The rules of one policy in order; which of them are for a transition is found out once."""

    def __init__(self, *rules: Rule[F]) -> None:
        self._rules: tuple[Rule[F], ...] = rules
        self._between: dict[tuple[Pair, Pair], tuple[Callable[[Case[F]], Case[F] | Verdict], ...]] = {
            (one, other): tuple(rule.check for rule in rules if one in rule.froms and other in rule.tos)
            for one in ANY
            for other in ANY
        }

    def __iter__(self) -> Iterator[Rule[F]]:
        """The rules, first asked first: for those who explain them."""
        return iter(self._rules)

    def between(self, one: Pair, other: Pair) -> tuple[Callable[[Case[F]], Case[F] | Verdict], ...]:
        """What is asked, in order, about a transition from `one` to `other`."""
        return self._between[one, other]


def follow(policy: Table[F], case: Case[F]) -> Case[F] | Verdict:
    """Ask the rules in order; the first verdict ends it.

    A rule that is for the intended pair does not fire once another type is proposed (CONTRACT §2, machinery).
    """
    intended = case.proposed.type
    for check in policy.between(case.from_type, intended):
        step = check(case)
        if not isinstance(step, Case):
            return step
        case = step
        if case.proposed.type is not intended:
            break
    return case


def run_of(case: Case[Facts]) -> Run:
    return case.facts.run


def task_of(case: Case[TaskFacts]) -> TaskRun:
    return case.facts.run
