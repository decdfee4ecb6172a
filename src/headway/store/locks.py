"""Row locks of PostgreSQL: what a batch of commands looks at stays as it is until the batch is written.

One call takes them all (`guards.LOCK`), in the order pool, queue, deployment, run, attempt, each by id, in every
transaction. Limits that are not set are not locked, because nobody counts them; the others are, so that two replicas
never take one last slot twice. Everything that belongs to a run (its live row, states, slots, inputs) is guarded by
the lock on the run. Renewals take only the attempt's row, so they wait for nothing but a decision about that attempt.

SQLite needs none of this: a write begins with the lock on the whole file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Connection

from headway.core.rules.commands import Claim, Command, CreateRun, EndAttempt, Ending, Propose, ProposeTask
from headway.core.states import StateType
from headway.store.hot import Hot

__all__ = ["lock_batch", "lock_claims", "lock_limits", "lock_runs", "starts", "whose_children"]


def lock_batch(connection: Connection, commands: Sequence[Command]) -> None:
    """Hold everything that deciding these commands depends on, until the transaction ends."""
    if connection.dialect.name == "sqlite":
        return
    wanted = _Wanted()
    for command in commands:
        wanted.add(command)
    _lock(connection, wanted)


def lock_runs(connection: Connection, runs: Iterable[UUID]) -> None:
    """The same for whatever will be done with these runs."""
    if connection.dialect.name != "sqlite":
        _lock(connection, _Wanted(runs=set(runs), starting=set(runs)))


def lock_limits(connection: Connection, pools: Iterable[UUID], queues: Iterable[UUID]) -> None:
    """Hold these limits before looking for runs that fit into them."""
    if connection.dialect.name == "sqlite":
        return
    hot = Hot(connection)
    for kind, ids in (("pools", set(pools)), ("queues", set(queues))):
        if ids:
            hot.rows(f"lock_{kind}", ids=ids)


def lock_claims(connection: Connection, runs: Sequence[UUID]) -> Sequence[UUID]:
    """Hold these runs and their deployments' limits; those that somebody else holds are left out, not waited for."""
    if connection.dialect.name == "sqlite" or not runs:
        return runs
    _lock(connection, _Wanted(starting=set(runs)))
    free = {row[0] for row in Hot(connection).rows("lock_claimable", runs=runs)}
    return [run for run in runs if run in free]


def whose_children(command: Command) -> UUID | None:
    """The run whose children a command may end too."""
    ends = (StateType.CANCELLED, StateType.CANCELLING, StateType.CRASHED)
    if isinstance(command, EndAttempt):
        return None if command.event is Ending.STARTED else command.run_id
    return command.run_id if isinstance(command, Propose) and command.state.type in ends else None


def starts(command: Command) -> bool:
    """Whether a rule may take slots for the command's run, or asks whether there are any."""
    if isinstance(command, Propose):
        return command.late or command.state.type in (StateType.PENDING, StateType.RUNNING)
    return isinstance(command, Claim)


@dataclass(slots=True)
class _Wanted:
    """Ids that commands name. Runs that are `starting` take slots; children of `trees` may end with them."""

    runs: set[UUID] = field(default_factory=set)
    starting: set[UUID] = field(default_factory=set)
    trees: set[UUID] = field(default_factory=set)
    tasks: set[UUID] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.runs or self.starting or self.trees or self.tasks)

    def add(self, command: Command) -> None:
        if isinstance(command, ProposeTask):
            self.tasks.add(command.task_run_id)
        elif isinstance(command, CreateRun):
            if command.run.parent_task_run_id is not None:
                self.tasks.add(command.run.parent_task_run_id)
        else:
            self.runs.add(command.run_id)
            if starts(command):
                self.starting.add(command.run_id)
            if whose_children(command) is not None:
                self.trees.add(command.run_id)


def _lock(connection: Connection, wanted: _Wanted) -> None:
    if wanted:
        Hot(connection).rows(
            "lock", named=wanted.runs, starting=wanted.starting, trees=wanted.trees, tasks=wanted.tasks
        )
