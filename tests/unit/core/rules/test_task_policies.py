"""CONTRACT §2.2, by table: task runs whose states come over REST."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from headway.core import states
from headway.core.ids import new_id
from headway.core.rules.facts import Policy, TaskFacts, TaskRun
from headway.core.rules.table import Abort, Case, Reject, Wait, follow
from headway.core.rules.task_policies import BACKGROUND, CORE
from headway.core.rules.transforms import enter
from headway.core.states import State

from .factories import NOW, TERMS, state

KEPT = {"type": "reference"}
SOON = NOW + timedelta(seconds=3)


def judge(current: State | None, proposed: State, policy: Any = CORE, run: Any = None, **facts: Any) -> Any:
    task = TaskRun(new_id(), flow_run_id=new_id(), **(run or {}))
    if current is not None:
        task = replace(enter(task, current)[0], run_count=(run or {}).get("run_count", 0))
    known = TaskFacts(task, **{"flow_run_state": state("RUNNING"), **facts})
    return follow(policy, Case(facts=known, proposed=proposed, now=NOW, terms=TERMS, policy=task.policy))


CASES: list[tuple[str, State | None, State, dict[str, Any], type, str | None]] = [
    ("ordinary", state("PENDING"), state("RUNNING"), {}, Case, None),
    ("final to paused", state("FAILED"), state("PAUSED"), {}, Abort, None),
    ("final to crashed", state("FAILED"), state("CRASHED"), {}, Abort, None),
    ("kept result", state("COMPLETED", data=KEPT), state("RUNNING"), {}, Reject, None),
    ("lost result", state("COMPLETED"), state("RUNNING"), {}, Case, None),
    ("flow paused", state("PENDING"), state("RUNNING"), {"flow_run_state": state("PAUSED")}, Reject, "NotReady"),
    ("flow not running", state("PENDING"), state("RUNNING"), {"flow_run_state": state("FAILED")}, Abort, None),
    ("flow gone", state("PENDING"), state("RUNNING"), {"flow_run_state": None}, Abort, None),
    ("tag full", state("PENDING"), state("RUNNING"), {"full_tag": "db"}, Wait, None),
    ("tag closed", state("PENDING"), state("RUNNING"), {"closed_tag": "db"}, Abort, None),
    ("not due", state("SCHEDULED", details={"scheduled_time": SOON}), state("RUNNING"), {}, Wait, None),
    (
        "cached",
        state("PENDING"),
        state("RUNNING", details={"cache_key": "k"}),
        {"cached": state("COMPLETED", data=KEPT)},
        Reject,
        "Cached",
    ),
    (
        "refresh",
        state("PENDING"),
        state("RUNNING", details={"cache_key": "k", "refresh_cache": True}),
        {"cached": state("COMPLETED", data=KEPT)},
        Case,
        None,
    ),
    ("retry", state("RUNNING"), state("FAILED"), {"run": {"policy": Policy(retries=1)}}, Reject, "AwaitingRetry"),
    ("used up", state("RUNNING"), state("FAILED"), {"run": {"policy": Policy(retries=1), "run_count": 2}}, Case, None),
    (
        "not retriable",
        state("RUNNING"),
        state("FAILED", details={"retriable": False}),
        {"run": {"policy": Policy(retries=1)}},
        Case,
        None,
    ),
]


@pytest.mark.parametrize(
    ("current", "proposed", "facts", "kind", "name"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_task_transition_ends_as_the_contract_says(
    current: State, proposed: State, facts: dict[str, Any], kind: type, name: str | None
) -> None:
    step = judge(current, proposed, **facts)
    assert isinstance(step, kind)
    if name is not None:
        assert step.state.name == name


@pytest.mark.parametrize(
    ("delay", "run_count", "seconds"), [(None, 1, 0), (4, 1, 4), ([1, 2], 1, 1), ([1, 2], 2, 2), ([1, 2], 3, 2)]
)
def test_a_retry_waits_for_its_delay(delay: Any, run_count: int, seconds: int) -> None:
    run = {"policy": Policy(retries=5, retry_delay=delay), "run_count": run_count}
    step = judge(state("RUNNING"), state("FAILED"), run=run)
    assert step.state.scheduled_time == NOW + timedelta(seconds=seconds)


def test_jitter_only_makes_a_delay_longer() -> None:
    run = {"policy": Policy(retries=5, retry_delay=10, retry_jitter_factor=0.5), "run_count": 1}
    step = judge(state("RUNNING"), state("FAILED"), run=run)
    assert 10 <= (step.state.scheduled_time - NOW).total_seconds() <= 15


@pytest.mark.parametrize(("before", "name"), [(states.AwaitingRetry(NOW), "Retrying"), (state("PENDING"), "Rerunning")])
def test_a_second_run_says_why_it_runs_again(before: State, name: str) -> None:
    step = judge(before, state("RUNNING"), run={"run_count": 1})
    assert step.proposed.name == name


def test_a_task_that_leaves_a_final_state_counts_from_zero() -> None:
    step = judge(state("FAILED"), state("RUNNING"), run={"run_count": 3})
    assert step.facts.run.run_count == 0


def test_a_running_task_remembers_which_run_of_its_flow_it_belongs_to() -> None:
    step = judge(state("PENDING"), state("RUNNING"), flow_run_run_count=2)
    assert step.facts.run.flow_run_run_count == 2


@pytest.mark.parametrize(("before", "kind"), [("SCHEDULED", Case), ("PENDING", Abort), ("RUNNING", Abort)])
def test_a_background_task_is_handed_out_once(before: str, kind: type) -> None:
    assert isinstance(judge(state(before), state("PENDING"), BACKGROUND), kind)
