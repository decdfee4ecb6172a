"""What a rule may look at: frozen snapshots of runs, attempts, limits and slots.

A batch is decided over one `World`, loaded in a few statements; `World.put` moves it on, so that each
command sees the facts as the ones before it left them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from headway.core.copying import replace
from headway.core.states import EMPTY, State, StateType

__all__ = ["Attempt", "Caller", "Facts", "Limit", "Policy", "Run", "Slot", "TaskFacts", "TaskRun", "Terms", "World"]

LimitKind = Literal["pool", "queue", "deployment"]


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings that rules need; durations in seconds."""

    slot_wait: float = 30.0
    task_slot_wait: float = 10.0
    lease_ttl: float = 20.0
    start_failures_max: int = 3
    start_backoff: float = 5.0
    cancel_timeout: float = 300.0


@dataclass(frozen=True, slots=True)
class Caller:
    """The fence of whoever asks: headers Headway-Attempt-Token, -Nonce and Headway-Attempt."""

    token: str | None = None
    nonce: str | None = None
    number: int | None = None

    @property
    def fenced(self) -> bool:
        return self.token is not None or self.nonce is not None


@dataclass(frozen=True, slots=True)
class Policy:
    """The run's empirical_policy; `extra` holds keys that no rule looks at."""

    retries: int | None = None
    retry_delay: Any = None
    retry_type: str | None = None
    resuming: bool = False
    pause_keys: frozenset[str] = frozenset()
    retry_on_crash: bool = True
    retry_jitter_factor: float | None = None
    extra: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    @classmethod
    def of(cls, wire: Mapping[str, Any] | None) -> Policy:
        """From the wire's JSON."""
        known = {key: value for key, value in (wire or EMPTY).items() if key in _POLICY_KEYS}
        extra = {key: value for key, value in (wire or EMPTY).items() if key not in _POLICY_KEYS}
        on_crash = known.get("retry_on_crash")
        return cls(
            retries=known.get("retries"),
            retry_delay=known.get("retry_delay"),
            retry_type=known.get("retry_type"),
            resuming=bool(known.get("resuming")),
            pause_keys=frozenset(known.get("pause_keys") or ()),
            retry_on_crash=True if on_crash is None else bool(on_crash),
            retry_jitter_factor=known.get("retry_jitter_factor"),
            extra=extra,
        )

    def to_wire(self) -> dict[str, Any]:
        """As JSON for a flow run."""
        return {
            **self.extra,
            "retries": self.retries,
            "retry_delay": self.retry_delay,
            "retry_type": self.retry_type,
            "resuming": self.resuming,
            "pause_keys": sorted(self.pause_keys),
            **({} if self.retry_on_crash else {"retry_on_crash": False}),
        }

    @property
    def in_process(self) -> bool:
        """True while the run waits for a retry inside its own process; nobody else may start it."""
        return self.retry_type == "in_process"


_POLICY_KEYS = frozenset(
    {
        "retries",
        "retry_delay",
        "retry_type",
        "resuming",
        "pause_keys",
        "retry_on_crash",
        "retry_jitter_factor",
    }
)


@dataclass(frozen=True, slots=True)
class Record:
    """What flow runs and task runs have in common: the columns that a state changes."""

    id: UUID
    state: State | None = None
    run_count: int = 0
    expected_start_time: datetime | None = None
    next_scheduled_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: float = 0.0
    policy: Policy = Policy()

    @property
    def type(self) -> StateType | None:
        return None if self.state is None else self.state.type


@dataclass(frozen=True, slots=True)
class Run(Record):
    """A flow run. `root_id` is set for an inline subflow: the run whose attempt it shares."""

    flow_id: UUID | None = None
    deployment_id: UUID | None = None
    work_pool_id: UUID | None = None
    work_queue_id: UUID | None = None
    parent_task_run_id: UUID | None = None
    root_id: UUID | None = None
    infrastructure_pid: str | None = None
    retries_used: int = 0
    start_failures: int = 0

    @property
    def owner_id(self) -> UUID:
        """The run whose attempt owns this one."""
        return self.root_id or self.id


@dataclass(frozen=True, slots=True)
class TaskRun(Record):
    flow_run_id: UUID | None = None
    flow_run_run_count: int = 0
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at executing a run; alive until `ended`. `nonce` is its process, bound by the first RUNNING."""

    run_id: UUID
    number: int
    token: str
    opened: datetime
    lease_end: datetime
    nonce: str | None = None
    claim_id: UUID | None = None
    worker_id: UUID | None = None
    worker_name: str | None = None
    work_pool_id: UUID | None = None
    handle: Mapping[str, Any] | None = None
    reported: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    outcome: Mapping[str, Any] | None = None
    counts: bool = True
    worker_renewed: datetime | None = None

    @property
    def alive(self) -> bool:
        return self.ended is None

    @property
    def bound(self) -> bool:
        return self.alive and self.nonce is not None

    @property
    def touched(self) -> bool:
        """True once anybody said anything about it; before that nothing can have started."""
        return bool(self.reported or self.started or self.worker_renewed or self.nonce)


@dataclass(frozen=True, slots=True)
class Limit:
    """A concurrency limit and how much of it is used; `limit` None is unlimited, and its use is not counted."""

    kind: LimitKind
    id: UUID
    name: str
    limit: int | None
    used: int
    cancel_new: bool = False

    @property
    def full(self) -> bool:
        return self.limit is not None and self.used >= self.limit

    @property
    def words(self) -> str:
        return f"{_LIMIT_NOUN[self.kind]} '{self.name}' is at its concurrency limit: {self.used} of {self.limit}"


_LIMIT_NOUN: Mapping[str, str] = {"pool": "Work pool", "queue": "Work queue", "deployment": "Deployment"}


@dataclass(frozen=True, slots=True)
class Slot:
    """A run's place in a limit; `lease_id` is the wire's deployment_concurrency_lease_id."""

    kind: LimitKind
    limit_id: UUID
    lease_id: UUID
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a decision about one flow run rests on."""

    run: Run
    attempt: Attempt | None = None
    slots: tuple[Slot, ...] = ()
    limits: Mapping[LimitKind, Limit] = field(default_factory=dict)
    deployment_exists: bool = True

    @property
    def live_attempt(self) -> Attempt | None:
        return self.attempt if self.attempt is not None and self.attempt.alive else None

    def holds(self, kind: LimitKind) -> bool:
        return any(slot.kind == kind for slot in self.slots)


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """Everything a decision about one task run rests on."""

    run: TaskRun
    flow_run_state: State | None = None
    flow_run_run_count: int = 0
    cached: State | None = None
    full_tag: str | None = None
    closed_tag: str | None = None


@dataclass(slots=True)
class World:
    """The facts of one batch; the only thing here that changes, and only through `put`."""

    runs: dict[UUID, Run] = field(default_factory=dict)
    attempts: dict[UUID, Attempt] = field(default_factory=dict)
    slots: dict[UUID, tuple[Slot, ...]] = field(default_factory=dict)
    limits: dict[UUID, Limit] = field(default_factory=dict)
    deployments: set[UUID] = field(default_factory=set)
    tasks: dict[UUID, TaskRun] = field(default_factory=dict)
    cache: dict[str, State] = field(default_factory=dict)
    keys: dict[tuple[UUID | None, str | None], UUID] = field(default_factory=dict)
    """(flow, idempotency key) -> the run that has it."""
    roots: dict[UUID, UUID] = field(default_factory=dict)
    """Parent task run -> the run whose attempt an inline subflow under it shares."""
    bases: dict[UUID | None, object] = field(default_factory=dict)
    """Deployment -> what its runs are made from, for `CreateRun.based_on`."""

    def facts(self, run_id: UUID) -> Facts:
        """The facts of one run; KeyError when the batch did not load it."""
        run = self.runs[run_id]
        limits: dict[LimitKind, Limit] = {}
        for id in (run.work_pool_id, run.work_queue_id, run.deployment_id) if self.limits else ():
            limit = None if id is None else self.limits.get(id)
            if limit is not None:
                limits[limit.kind] = limit
        return Facts(
            run=run,
            attempt=self.attempts.get(run.owner_id),
            slots=self.slots.get(run_id, ()),
            limits=limits,
            deployment_exists=run.deployment_id is None or run.deployment_id in self.deployments,
        )

    def task_facts(self, task_run_id: UUID, cache_key: str | None = None) -> TaskFacts:
        """The facts of one task run; KeyError when the batch did not load it."""
        run = self.tasks[task_run_id]
        parent = None if run.flow_run_id is None else self.runs.get(run.flow_run_id)
        return TaskFacts(
            run=run,
            flow_run_state=None if parent is None else parent.state,
            flow_run_run_count=0 if parent is None else parent.run_count,
            cached=None if cache_key is None else self.cache.get(cache_key),
        )

    def children(self, run_id: UUID) -> tuple[list[TaskRun], list[Run]]:
        """The unfinished task runs of a run, and the unfinished flow runs they stand for."""
        tasks = [t for t in self.tasks.values() if t.flow_run_id == run_id and _unfinished(t)]
        ids = {t.id for t in self.tasks.values() if t.flow_run_id == run_id}
        return tasks, [r for r in self.runs.values() if r.parent_task_run_id in ids and _unfinished(r)]

    def put(self, after: Facts) -> None:
        """Replace what is known of one run; occupancy of limits follows its slots."""
        run = after.run
        self.runs[run.id] = run
        if after.attempt is not None and after.attempt.run_id == run.owner_id:
            self.attempts[run.owner_id] = after.attempt
        before = self.slots.get(run.id, ())
        if before is after.slots:
            return
        self.slots[run.id] = after.slots
        if self.limits:
            held, holds = {slot.limit_id for slot in before}, {slot.limit_id for slot in after.slots}
            self._count(holds - held, 1)
            self._count(held - holds, -1)

    def _count(self, limit_ids: set[UUID], by: int) -> None:
        for id in limit_ids:
            limit = self.limits.get(id)
            if limit is not None and limit.limit is not None:
                self.limits[id] = replace(limit, used=limit.used + by)


def _unfinished(record: Record) -> bool:
    return record.state is None or not record.state.is_final
