"""What can be asked of a run, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from headway.core.rules.facts import Attempt, Caller, Facts, Run, TaskRun
from headway.core.states import State, StateType

__all__ = [
    "Claim",
    "Command",
    "CreateRun",
    "Decision",
    "EndAttempt",
    "Ending",
    "Propose",
    "ProposeTask",
    "Status",
    "TaskChange",
]


class Status(StrEnum):
    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    WAIT = "WAIT"
    ABORT = "ABORT"


class Ending(StrEnum):
    """How an attempt ends. The first four are reports of its worker, LOST is the reaper's word."""

    STARTED = "started"
    ENDED = "ended"
    RELEASED = "released"
    START_FAILED = "start_failed"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Propose:
    """A state for a flow run. `caller` None is the server itself, which is not fenced.

    With `only_from` the proposal is aborted unless the run is still in that state.
    """

    run_id: UUID
    state: State
    force: bool = False
    caller: Caller | None = None
    renews_leases: bool = True
    late: bool = False
    only_from: StateType | None = None


@dataclass(frozen=True, slots=True)
class ProposeTask:
    """A state for a task run."""

    task_run_id: UUID
    state: State
    force: bool = False


@dataclass(frozen=True, slots=True)
class CreateRun:
    """A new flow run and its first state, if it has one. `row` are the columns rules do not look at.

    With an idempotency key (or id) that is taken, nothing is made and the old run is the answer. `based_on` is the
    deployment as the caller knew it; if it has changed since, the command fails with OutdatedError.
    """

    run: Run
    state: State | None
    row: Mapping[str, Any] = field(default_factory=dict)
    caller: Caller | None = None
    based_on: object = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker takes a run: PENDING by the rules, and with it an attempt. Its token is the worker's right."""

    run_id: UUID
    claim_id: UUID
    worker_id: UUID
    worker_name: str
    work_pool_id: UUID
    token: str
    lease_end: datetime


@dataclass(frozen=True, slots=True)
class EndAttempt:
    """A report about an attempt. `token` None is the reaper's."""

    run_id: UUID
    number: int
    event: Ending
    token: str | None = None
    outcome: Mapping[str, Any] = field(default_factory=dict)
    handle: Mapping[str, Any] | None = None
    infrastructure_pid: str | None = None
    retryable: bool = True


Command = Propose | ProposeTask | CreateRun | Claim | EndAttempt


@dataclass(frozen=True, slots=True)
class TaskChange:
    """A task run that entered a state along with a decision."""

    before: TaskRun
    after: TaskRun
    state: State


@dataclass(frozen=True, slots=True)
class Decision:
    """What comes of a command: the answer for whoever asked, and everything that must be written.

    `before` and `after` are the facts around it; `written` are the states for the history, in order, of
    which the last is the current one. `task_state` is the current state of the task run that the command was
    about. `followups` are decisions about other flow runs.
    """

    status: Status
    reason: str | None = None
    delay: int = 0
    before: Facts | None = None
    after: Facts | None = None
    written: tuple[State, ...] = ()
    tasks: tuple[TaskChange, ...] = ()
    dropped_inputs: tuple[str, ...] = ()
    followups: tuple[Decision, ...] = ()
    created: CreateRun | None = None
    retry_scheduled: bool = False
    task_state: State | None = None

    @property
    def state(self) -> State | None:
        """The run's state now; of a task run, where the command was about one."""
        return self.task_state if self.after is None else self.after.run.state

    @property
    def attempt(self) -> Attempt | None:
        return None if self.after is None else self.after.attempt
