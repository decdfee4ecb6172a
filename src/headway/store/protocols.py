"""What services may ask of a store: one small role each, so that a service names what it needs.

Rows are dictionaries keyed by the wire's field names; times are UTC datetimes, ids are UUIDs. Every
method that writes returns after its transaction is durable. Methods raise headway.core.errors only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

from headway.core.errors import HeadwayError
from headway.core.rules.commands import Command, Decision
from headway.core.rules.facts import Caller, Facts, Terms
from headway.core.states import State

Row = dict[str, Any]
Filters = Mapping[str, Any]
RawRun = tuple[Any, ...]
"""A flow run as `store/sql/*/run_page.sql` selects it: ids as the driver has them, microseconds, JSON as text."""
T = TypeVar("T")


class Records(Protocol):
    """Reading and changing the rows of one resource."""

    async def get(self, id: UUID) -> Row | None: ...

    async def find(self, **where: Any) -> Row | None: ...

    async def page(
        self, filters: Filters, *, sort: str | None = None, limit: int | None = 200, offset: int = 0
    ) -> list[Row]: ...

    async def count(self, filters: Filters) -> int: ...

    async def update(self, id: UUID, values: Mapping[str, Any]) -> bool: ...

    async def delete(self, id: UUID) -> bool: ...


class Flows(Records, Protocol):
    """Flows, unique by name."""

    async def create(self, values: Row) -> tuple[Row, bool]:
        """The flow of that name and whether it is new; an existing one is returned unchanged."""
        ...


class WorkPools(Records, Protocol):
    """Work pools, unique by name, each made together with its default queue."""

    async def create(self, pool: Row, queue: Row) -> None:
        """Raises Conflict if the name is taken."""
        ...

    async def names(self) -> list[str]: ...

    async def active_slots(self, ids: Sequence[UUID]) -> dict[UUID, int]:
        """How many runs occupy each pool; pools without any are left out."""
        ...

    async def has_online_worker(self, id: UUID) -> bool: ...

    async def live_runs(self, id: UUID) -> list[tuple[UUID, str]]:
        """Every run of the pool that is not final, with its state type."""
        ...

    async def remove(self, id: UUID) -> int:
        """Delete the pool and what belongs to it, unless runs live: then how many do."""
        ...

    async def occupants(self, *, queue_ids: Sequence[UUID], limit: int, offset: int = 0) -> dict[UUID, list[Row]]:
        """The runs that occupy each queue, longest first, as FlowRunSlot fields."""
        ...

    async def learnt_template(self, type: str) -> dict[str, Any] | None:
        """The default template that a worker brought for a type without an installed driver."""
        ...

    async def learnt_templates(self) -> dict[str, dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Moved:
    """What went to queue `to` when its own was deleted."""

    runs: int
    deployments: int
    to: str


class WorkQueues(Records, Protocol):
    """Work queues, unique by pool and name, priorities unique in their pool."""

    async def place(self, pool: str, queue: str | None) -> Row | None:
        """`work_pool_id`, `work_queue_id` and `work_queue_name` of a pool's queue (None: its default one), by name;
        None if there is none."""
        ...

    async def matching(self, filters: Filters, limit: int, offset: int, pool_id: UUID | None = None) -> list[Row]:
        """Of one pool in the order they are served, or of all pools by name."""
        ...

    async def of_pool(self, pool_id: UUID) -> list[Row]:
        """In the order they are served."""
        ...

    async def create(self, values: Row) -> Row:
        """`priority` may be None: the first free one. Raises Conflict if the name is taken."""
        ...

    async def change(self, id: UUID, values: Mapping[str, Any]) -> Row | None:
        """The row as it is then, None if there is none; other queues give way to a new priority."""
        ...

    async def remove(self, id: UUID) -> Moved | None:
        """Delete it; what waits there moves to the default queue. Raises Conflict for that one."""
        ...

    async def active_slots(self, ids: Sequence[UUID]) -> dict[UUID, int]: ...

    async def late_runs(self, id: UUID) -> int: ...


class Workers(Records, Protocol):
    """Workers, unique by pool and name. All methods raise NotFound for a pool that does not exist."""

    async def register(self, pool_name: str, values: Row, template: Row | None) -> tuple[Row, Row]:
        """The pool's row and the worker's, plus `served`: its queues. Raises WorkerTypeNotSupportedError,
        WorkerNameTakenError, or NotFound for a queue."""
        ...

    async def heartbeat(self, pool_name: str, values: Row, worker_id: UUID | None) -> None:
        """Upsert by name; `worker_id` refuses a live worker of the same name that is another one."""
        ...

    async def of_pool(self, pool_id: UUID, filters: Filters, limit: int, offset: int) -> list[Row]:
        """Those that pass a WorkerFilter (builtin form), last heard first."""
        ...

    async def offline(self, pool_name: str, name: str, now: datetime) -> None: ...

    async def remove(self, pool_name: str, name: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Origin:
    """What a deployment's runs are made from: its columns, and the base job template of its pool (None: no pool).

    `basis` goes into `CreateRun.based_on`; it is equal as long as nothing of this has changed.
    """

    deployment: Row
    template: Row | None
    basis: object


class Origins(Protocol):
    async def of_deployment(self, id: UUID) -> Origin | None: ...


class Transitions(Protocol):
    """Deciding commands and writing what comes of them, in one transaction (DESIGN §3)."""

    async def execute(self, commands: Sequence[Command], now: datetime, terms: Terms) -> list[Decision | HeadwayError]:
        """One outcome per command, in order, after the commit. An error concerns its command alone."""
        ...

    async def paused_input(self, run_id: UUID) -> tuple[State | None, str | None]:
        """The run's state and, if it is paused with an input schema, that schema as JSON text."""
        ...

    async def answer_input(self, run_id: UUID, key: str, value: str, now: datetime) -> None:
        """Keep the answer to a paused run's question; an older answer is replaced."""
        ...


@dataclass(frozen=True, slots=True)
class SchedulePlan:
    """What a change of a deployment does to its schedules; `replaced` drops all that are there first."""

    replaced: bool = False
    created: Sequence[Row] = ()
    changed: Mapping[UUID, Mapping[str, Any]] = field(default_factory=dict)


class Deployments(Records, Protocol):
    """Deployments, unique by flow and name. Rows carry `schedules`, `work_pool_name` and `active_slots` too.

    Every change forgets the runs that schedules planned ahead, so that the scheduler makes them anew; runs that
    wait follow their deployment to another queue or pool.
    """

    async def by_name(self, flow_name: str, name: str) -> Row | None: ...

    async def names(self) -> list[str]:
        """All of them as `flow/deployment`, for suggestions."""
        ...

    async def save(self, values: Row, schedules: Sequence[Row]) -> tuple[Row, bool]:
        """Make it, or change the one of that flow and name; True if it is new. NotFound: no such flow."""
        ...

    async def change(self, id: UUID, values: Mapping[str, Any], plan: SchedulePlan) -> bool: ...

    async def set_paused(self, id: UUID, paused: bool, now: datetime) -> bool: ...

    async def change_schedule(self, id: UUID, schedule_id: UUID, values: Mapping[str, Any], now: datetime) -> bool: ...

    async def drop_schedule(self, id: UUID, schedule_id: UUID) -> bool: ...

    async def due(self, ids: Sequence[UUID], before: datetime, limit: int) -> list[UUID]:
        """Their runs that may be started, earliest first."""
        ...

    async def polled(self, ids: Sequence[UUID], now: datetime) -> None:
        """Somebody asked for their runs: they are READY."""
        ...

    async def live_runs(self, id: UUID) -> list[tuple[UUID, str]]:
        """Every run of the deployment that is not final, with its state type."""
        ...

    async def remove(self, id: UUID, now: datetime) -> list[tuple[UUID, str]]:
        """Delete it unless runs of it wait or run: then those. What is planned for after `now` goes with it."""
        ...


class FlowRuns(Records, Protocol):
    """Flow runs. Rows carry `state` (a row or None), `work_pool_name` and `attempt` (the newest number) too."""

    async def raw_page(
        self, shape: Callable[[list[RawRun]], T], filters: Filters, *, sort: str | None, limit: int, offset: int
    ) -> T:
        """A page through `shape`, which is called on the reader's thread."""
        ...

    async def raw_page_and_count(
        self, shape: Callable[[list[RawRun]], T], filters: Filters, *, sort: str | None, limit: int, offset: int
    ) -> tuple[T, int]:
        """The same, and how many runs pass in all."""
        ...

    async def ids(self, filters: Filters, limit: int) -> list[UUID]:
        """Those that pass, at most `limit`."""
        ...

    async def delete_many(self, filters: Filters, limit: int | None) -> list[UUID]:
        """Delete those that pass, at most `limit`; their ids."""
        ...

    async def merge_labels(self, id: UUID, labels: dict[str, Any], values: Row) -> bool:
        """Add or replace labels, and set other columns; False if there is no such run."""
        ...

    async def surroundings(self, id: UUID) -> Row | None:
        """The rows `run`, `deployment` and `work_pool` that its job variables are checked against."""
        ...

    async def origin(self, flow_id: UUID, pool: str | None, queue: str | None) -> Row:
        """The rows `flow`, `work_pool` and `work_queue` (by default the pool's default one) of a run to be."""
        ...


class RunTimes(Protocol):
    """Figures over flow runs or task runs; seconds."""

    async def history(
        self, filters: Filters, start: datetime, end: datetime, interval: timedelta, now: datetime
    ) -> list[Row]:
        """Per `bucket` (interval, from 0), `state_type` and `state_name`: `count_runs`, `sum_estimated_run_time`,
        `sum_estimated_lateness`. Runs are counted where they were expected to start."""
        ...

    async def lateness(self, filters: Filters, now: datetime) -> float | None:
        """Mean lateness of the runs that pass; None if none does."""
        ...


class Graphs(Protocol):
    """What the graph of a flow run is drawn from."""

    async def of_run(self, id: UUID, at_most: int) -> Row | None:
        """`run`, its `task_runs` (the first ones), the `children` they stand for and its `states`."""
        ...


class FlowRunInputs(Protocol):
    """Inputs of flow runs, unique by run and key."""

    async def create(self, values: Row) -> None:
        """Raises NotFound for a run that does not exist, Conflict for a key that does."""
        ...

    async def get(self, run_id: UUID, key: str) -> Row | None: ...

    async def starting_with(self, run_id: UUID, prefix: str, without: Sequence[str], limit: int) -> list[Row]:
        """Oldest first."""
        ...

    async def delete(self, run_id: UUID, key: str) -> bool: ...


class States(Protocol):
    """The history of states of flow runs, or of task runs."""

    async def get(self, id: UUID) -> Row | None: ...

    async def of_run(self, run_id: UUID) -> list[Row]:
        """Oldest first."""
        ...


class TaskRuns(Records, Protocol):
    """Task runs. Rows carry `state` (a row or None) too."""

    async def create(self, values: Row, state: Row) -> tuple[Row, bool]:
        """The task run of that flow run, task key and dynamic key, and whether it is new."""
        ...


class RecordedState(NamedTuple):
    """A state that a task run has entered, as the record keeps it."""

    id: UUID
    type: str
    name: str
    timestamp: datetime
    message: str | None
    data: Any
    state_details: Any


class RecordedRun(NamedTuple):
    """A task run as the record keeps it, and its new states, oldest first; the last one is its current one."""

    id: UUID
    flow_run_id: UUID | None
    name: str
    task_key: str
    dynamic_key: str
    cache_key: str | None
    cache_expiration: datetime | None
    task_version: str | None
    empirical_policy: Any
    tags: Any
    labels: Any
    task_inputs: Any
    run_count: int
    flow_run_run_count: int
    expected_start_time: datetime
    next_scheduled_start_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    total_run_time: float
    states: Sequence[RecordedState]


class Recording(Protocol):
    """Task runs as their engines report them."""

    async def record(self, runs: Sequence[RecordedRun], attempt: int | None, now: datetime) -> list[int]:
        """Record what one attempt says (None: one that has no number) in one transaction.

        Returns the positions of those whose flow run does not exist. Raises Invalid if the database refuses
        the batch; then nothing of it is recorded.
        """
        ...


class Events(Protocol):
    """Events that are not states, and letters that nobody could read."""

    async def states_among(self, ids: Collection[UUID]) -> set[UUID]:
        """Which of these ids are ids of states."""
        ...

    async def add(self, events: Sequence[Row]) -> None:
        """Keep them; one that is there already is ignored."""
        ...

    async def bury(self, letters: Sequence[Row]) -> None:
        """Keep what could not be used, with the `reason`."""
        ...


class Logs(Records, Protocol):
    """Log lines, each known by its id."""

    async def add(self, lines: Sequence[Row]) -> None:
        """Keep them; one that is there already is ignored."""
        ...

    async def drop_runs(self, flow_run_ids: Collection[UUID]) -> None:
        """Forget the lines of these flow runs."""
        ...


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run that a schedule plans."""

    id: UUID
    name: str
    due: datetime
    idempotency_key: str
    state: State


@dataclass(frozen=True, slots=True)
class Plan:
    """The runs a schedule lacks, and when to look at it again; `shared` are the columns that all of them have.

    `look_at` is None for runs beside those that the schedule keeps ahead; otherwise the plan counts only while the
    schedule is as it was seen.
    """

    schedule_id: UUID
    shared: Row
    runs: Sequence[PlannedRun]
    look_at: datetime | None = None
    seen_look_at: datetime | None = None
    seen_updated: datetime | None = None


class Scheduling(Protocol):
    """What the scheduler needs. Rows are a deployment's columns plus schedule_id, schedule, slug,
    max_scheduled_runs, schedule_parameters and look_at."""

    async def due(self, now: datetime, limit: int) -> list[Row]:
        """Active schedules of unpaused deployments that are to be looked at by `now`, the longest waiting first.
        If runs are ahead of `now`, rows say how many are `planned`, and the `first` and `last` time of them."""
        ...

    async def schedules_of(self, deployment_id: UUID) -> list[Row]:
        """The active ones of one deployment."""
        ...

    async def insert_planned(self, plans: Sequence[Plan], now: datetime) -> int:
        """Insert the runs whose idempotency key is free, in one short write; how many that were."""
        ...


@dataclass(frozen=True, slots=True)
class StatusChanges:
    """How many rows of each kind a pass gave another status."""

    workers: int
    pools: int
    queues: int
    deployments: int


class PoolStatus(Protocol):
    """Who is there."""

    async def refresh(self, now: datetime, missed_heartbeats: int, unpolled_since: datetime) -> StatusChanges:
        """Set the status of workers (silent for that many of their intervals: OFFLINE), pools, and the queues
        and deployments that nobody polled since."""
        ...


class Retention(Protocol):
    """Forgetting."""

    async def drop(self, kind: str, before: datetime, limit: int) -> int:
        """Delete at most `limit` of the `logs`, `events` or ended `flow_runs` from before then; how many."""
        ...


@dataclass(frozen=True, slots=True)
class ClaimOf:
    """A worker's request for runs; no queue names means all of the pool. `grace` is for the stop orders, seconds.

    It is `fresh` when it has just arrived, which shows that its worker lives; one that has waited gets nothing once
    its worker was found silent.
    """

    pool: str
    claim_id: UUID
    worker_id: UUID
    queues: Sequence[str]
    limit: int
    grace: float
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Claimed:
    """Attempts (number, token, and what surrounds the run), orders (rows with the wire's fields), and what a
    waiting claim needs: the pool's id, when its next run is due, whether more
    may be there already, and which queues are to be marked as polled."""

    pool_id: UUID
    attempts: Sequence[Row] = ()
    stop: Sequence[Row] = ()
    adopt: Sequence[Row] = ()
    stale: Sequence[UUID] = ()
    next_due: datetime | None = None
    more: bool = False
    dismissed: bool = False


class Claims(Protocol):
    """Handing out runs. Unknown pools, queues and workers raise NotFound."""

    async def backlog(self, pool: str, queues: Sequence[str], now: datetime) -> Row:
        """`waiting`, `late`, `oldest` (when the first was due, or None), `running` and `slots_free`."""
        ...

    async def claim(self, requests: Sequence[ClaimOf], now: datetime, terms: Terms) -> list[Claimed | HeadwayError]:
        """Take the next runs for each, in order, all in one transaction; the same claim id takes the same ones.
        What is wrong with one request is its own answer."""
        ...

    async def polled(self, queue_ids: Sequence[UUID], now: datetime) -> None:
        """Somebody has asked for runs of these queues."""
        ...

    async def waiting(
        self, pool: str, queues: Sequence[str], before: datetime, after: datetime | None, limit: int, now: datetime
    ) -> list[UUID]:
        """What a poll gets, in order; nothing is taken. Counts as polling the queues."""
        ...

    async def waiting_of_queue(self, queue_id: UUID, before: datetime, limit: int, now: datetime) -> list[UUID]: ...


class Held(Protocol):
    """An attempt that somebody says is his."""

    flow_run_id: UUID
    attempt: int
    token: str


@dataclass(frozen=True, slots=True)
class Renewal:
    """A worker vouches for what it holds; `grace` is for the stop orders, seconds."""

    pool: str
    worker_id: UUID
    held: Sequence[Held]
    grace: float


@dataclass(frozen=True, slots=True)
class Renewed:
    """What a renewal answers: attempts that are not the worker's any more, and orders (wire fields)."""

    lost: Sequence[Held]
    stop: Sequence[Row]
    adopt: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Reaped:
    """What a pass of the reaper has decided, and the pools in which attempts could be adopted."""

    ended: Sequence[Decision] = ()
    orphaned: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt's end made of its run."""

    state: State | None
    retry_scheduled: bool


class Attempts(Protocol):
    """Attempts and leases; durations in seconds. What is wrong with one of many is its own answer."""

    async def renew(self, renewals: Sequence[Renewal], now: datetime, terms: Terms) -> list[Renewed | HeadwayError]:
        """Who knows an attempt's token renews it, unless another worker that is not silent has it."""
        ...

    async def renew_engines(
        self, engines: Sequence[tuple[UUID, Caller]], now: datetime, grace: float, terms: Terms
    ) -> list[list[UUID] | HeadwayError]:
        """Per engine (its run, its fence) the runs that are to end: its root, or inline subflows, that were
        cancelled; FencedError (409) or LeaseLostError (410) for an engine that must stop."""
        ...

    async def fenced_out(self, run_ids: Collection[UUID], caller: Caller) -> dict[UUID, HeadwayError]:
        """Those of these runs that the caller must not write to, and why."""
        ...

    async def outcome(self, run_id: UUID, number: int) -> Outcome | None:
        """None while the attempt lives, or if there is none."""
        ...

    async def reap(self, now: datetime, longest_gap: float, terms: Terms) -> Reaped:
        """End the attempts whose leases ran out. After a gap of more than `longest_gap` since the last call,
        by whichever server, every lease gets a fresh life instead."""
        ...

    async def late_runs(self, due_before: datetime, limit: int) -> list[tuple[UUID, datetime]]: ...

    async def expired_pauses(self, now: datetime, limit: int) -> list[UUID]: ...

    async def stuck_cancellations(self, since: datetime, limit: int) -> list[tuple[UUID, str | None]]:
        """The runs that are CANCELLING for so long, and what their infrastructure is called."""
        ...


class Tallies(Protocol):
    """Counts of ended runs, kept as changes to be added up."""

    async def fold(self) -> bool:
        """Add up some of the changes if there are many, in one short write; whether there were."""
        ...


class RunRecords(Protocol):
    """Flow runs as the wire shows them."""

    async def raw_runs(self, shape: Callable[[list[RawRun]], T], ids: Sequence[UUID]) -> T:
        """The runs of these ids, in their order, through `shape`; unknown ones are left out."""
        ...


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a run stands. `workers` are the live ones of its pool, with `busy`: the runs each holds.

    `claimable`: a poll of the run's pool (or deployment, if it has no pool) returns it now; `ahead`: how many
    runs that poll returns.
    """

    facts: Facts
    due: datetime | None
    pool: Row | None
    queue: Row | None
    deployment: Row | None
    workers: Sequence[Mapping[str, Any]]
    claimable: bool
    ahead: int


class Situations(Protocol):
    async def situation(self, run_id: UUID, now: datetime, limit: int) -> Situation:
        """`limit` is that of the poll. Raises NotFound."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What a pulse compares with. Seconds: since when the last beat is a gap, when a run is late, when a queue is
    silent, when a worker is, and how far `ahead` it looks for runs that fall due."""

    longest_gap: float
    late_after: float
    silence: float
    missed_heartbeats: int
    ahead: float
    unvouched: float


@dataclass(frozen=True, slots=True)
class Beat:
    """The database's time, the names of the loops that have something to do, and when pools' next runs fall due."""

    time: datetime
    loops: frozenset[str]
    falls_due: Mapping[UUID, datetime]


class Pulses(Protocol):
    """One question for all loops of a replica."""

    LOOPS: Sequence[str]
    """The loops that a beat can name."""

    async def beat(self, now: datetime, limits: Limits, pools: Collection[UUID]) -> Beat:
        """Look, and say that this replica is there. `pools` are those whose due times are asked for."""
        ...

    async def time(self) -> datetime: ...
