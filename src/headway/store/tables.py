"""Every table Headway keeps, in two groups.

`metadata` is the record: what should run and what happened. `telemetry` is logs, events and dead
letters; on SQLite it lives in a second file so that a burst of logs never holds up a state.

Hot and cold are apart: `live_run` has one narrow row per run that is not final and nothing scans
`flow_run` to find work. Columns carry the wire's names. Invariants stand here as constraints too.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from headway.store.types import Instant, Json, Seq

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=_NAMES)
telemetry = MetaData(naming_convention=_NAMES)

_FINAL = "('COMPLETED','FAILED','CANCELLED','CRASHED')"


def _identity() -> list[Column[Any]]:
    return [
        Column("id", Uuid, primary_key=True),
        Column("created", Instant, nullable=False),
        Column("updated", Instant, nullable=False),
    ]


flow = Table(
    "flow",
    metadata,
    *_identity(),
    Column("name", String, nullable=False, unique=True),
    Column("tags", Json, nullable=False, default=list),
    Column("labels", Json, nullable=False, default=dict),
)

work_pool = Table(
    "work_pool",
    metadata,
    *_identity(),
    Column("name", String, nullable=False, unique=True),
    Column("description", Text),
    Column("type", String, nullable=False),  # never changes: guarded by a trigger, see guards.py
    Column("base_job_template", Json, nullable=False, default=dict),
    Column("is_paused", Boolean, nullable=False, default=False),
    Column("concurrency_limit", Integer),
    Column("status", String, nullable=False, default="NOT_READY"),
    Column("default_queue_id", Uuid),
    Column("storage_configuration", Json, nullable=False, default=dict),
    CheckConstraint("concurrency_limit >= 0", name="limit_not_negative"),
)

work_queue = Table(
    "work_queue",
    metadata,
    *_identity(),
    Column("work_pool_id", ForeignKey("work_pool.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("is_paused", Boolean, nullable=False, default=False),
    Column("concurrency_limit", Integer),
    Column("priority", Integer, nullable=False, default=1),
    Column("filter", Json),
    Column("last_polled", Instant),
    Column("status", String, nullable=False, default="NOT_READY"),
    UniqueConstraint("work_pool_id", "name"),
    CheckConstraint("concurrency_limit >= 0", name="limit_not_negative"),
    CheckConstraint("priority >= 0", name="priority_not_negative"),
)

worker = Table(
    "worker",
    metadata,
    *_identity(),
    Column("work_pool_id", ForeignKey("work_pool.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("type", String),  # null: a stock worker, which never says its type
    Column("status", String, nullable=False, default="ONLINE"),
    Column("last_heartbeat_time", Instant, nullable=False),
    Column("heartbeat_interval_seconds", Integer, nullable=False, default=30),
    Column("work_queues", Json, nullable=False, default=list),  # [] = all of the pool's
    Column("concurrency_limit", Integer),
    Column("flow_run_ids", Json, nullable=False, default=list),
    Column("client", String),
    UniqueConstraint("work_pool_id", "name"),
)

deployment = Table(
    "deployment",
    metadata,
    *_identity(),
    Column("name", String, nullable=False),
    Column("version", String),
    Column("description", Text),
    Column("flow_id", ForeignKey("flow.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("paused", Boolean, nullable=False, default=False),
    Column("concurrency_limit", Integer),
    Column("concurrency_options", Json),
    Column("job_variables", Json, nullable=False, default=dict),
    Column("parameters", Json, nullable=False, default=dict),
    Column("parameter_openapi_schema", Json),
    Column("enforce_parameter_schema", Boolean, nullable=False, default=True),
    Column("tags", Json, nullable=False, default=list),
    Column("labels", Json, nullable=False, default=dict),
    Column("work_pool_id", ForeignKey("work_pool.id"), index=True),
    Column("work_queue_id", ForeignKey("work_queue.id"), index=True),
    Column("work_queue_name", String),
    Column("last_polled", Instant),
    Column("status", String, nullable=False, default="NOT_READY"),
    Column("path", Text),
    Column("entrypoint", Text),
    Column("pull_steps", Json),
    Column("storage_document_id", Uuid),
    Column("infrastructure_document_id", Uuid),
    Column("created_by", Json),
    Column("updated_by", Json),
    Column("retries", Integer),
    Column("retry_delay", Float),
    Column("retry_on_crash", Boolean),
    UniqueConstraint("flow_id", "name"),
    CheckConstraint("concurrency_limit >= 0", name="limit_not_negative"),
    Index(
        "ix_deployment_collides",  # those that may cancel new runs, which every claim asks for
        "work_pool_id",
        sqlite_where=text("concurrency_options IS NOT NULL"),
        postgresql_where=text("concurrency_options IS NOT NULL"),
    ),
)

deployment_schedule = Table(
    "deployment_schedule",
    metadata,
    *_identity(),
    Column("deployment_id", ForeignKey("deployment.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("schedule", Json, nullable=False),
    Column("active", Boolean, nullable=False, default=True),
    Column("max_scheduled_runs", Integer),
    Column("parameters", Json, nullable=False, default=dict),
    Column("slug", String),
    Column("replaces", String),
    Column("look_at", Instant),  # when the scheduler has to look at it again; null: as soon as it can
    Index("ix_deployment_schedule_look_at", "look_at"),
)


def _where_given(name: str, *columns: str) -> Index:
    """An index on what most rows do not have: it costs nothing where there is nothing."""
    given = text(f"{columns[0]} IS NOT NULL")
    return Index(name, *columns, sqlite_where=given, postgresql_where=given)


flow_run = Table(
    "flow_run",
    metadata,
    *_identity(),
    Column("name", String, nullable=False),
    Column("flow_id", ForeignKey("flow.id", ondelete="CASCADE"), nullable=False),  # indexed by the unique key
    Column("state_id", Uuid),
    Column("state_type", String),
    Column("state_name", String),
    Column("state_timestamp", Instant),
    Column("deployment_id", Uuid),
    Column("deployment_version", String),
    Column("schedule_id", Uuid),  # the deployment_schedule that made it, if one did
    Column("work_pool_id", Uuid),
    Column("work_queue_id", Uuid),
    Column("work_queue_name", String),
    Column("flow_version", String),
    Column("parameters", Json, nullable=False, default=dict),
    Column("idempotency_key", String),
    Column("context", Json, nullable=False, default=dict),
    Column("empirical_policy", Json, nullable=False, default=dict),
    Column("tags", Json, nullable=False, default=list),
    Column("labels", Json, nullable=False, default=dict),
    Column("parent_task_run_id", Uuid),
    Column("root_flow_run_id", Uuid),  # inline subflows share their root's lease
    Column("run_count", Integer, nullable=False, default=0),
    Column("expected_start_time", Instant),
    Column("next_scheduled_start_time", Instant),
    Column("start_time", Instant),
    Column("end_time", Instant),
    Column("total_run_time", Float, nullable=False, default=0.0),
    Column("auto_scheduled", Boolean, nullable=False, default=False),
    Column("infrastructure_document_id", Uuid),
    Column("infrastructure_pid", String),
    Column("created_by", Json),
    Column("job_variables", Json, nullable=False, default=dict),
    UniqueConstraint("flow_id", "idempotency_key"),
    CheckConstraint(f"(state_type IN {_FINAL}) = (end_time IS NOT NULL) OR state_type IS NULL", name="final_iff_ended"),
    _where_given("ix_flow_run_schedule_due", "schedule_id", "expected_start_time"),
    _where_given("ix_flow_run_parent_task_run_id", "parent_task_run_id"),
    _where_given("ix_flow_run_root_flow_run_id", "root_flow_run_id"),
    Index("ix_flow_run_newest", "expected_start_time", "id"),
    Index("ix_flow_run_state", "state_type", "expected_start_time"),
    Index("ix_flow_run_name", "name"),
)

started = func.coalesce(flow_run.c.start_time, flow_run.c.expected_start_time)
"""When a run started, or should: the order in which people look at runs."""

Index("ix_flow_run_started", started, flow_run.c.id)
Index("ix_flow_run_ended", flow_run.c.end_time).ddl_if(dialect="sqlite")
# differs because there NULLs come first where SQLite has them last.
Index("ix_flow_run_ended", flow_run.c.end_time.desc().nulls_last(), flow_run.c.id.desc()).ddl_if(dialect="postgresql")


def _index_pages(dialect: str, *more: Column[Any]) -> None:
    """Pages of one deployment in both orders, with what SQLite should know without looking at the row."""
    for name, order in (("started", started), ("due", flow_run.c.expected_start_time)):
        index = Index(f"ix_flow_run_deployment_{name}", flow_run.c.deployment_id, order, flow_run.c.id, *more)
        index.ddl_if(dialect=dialect)


_index_pages("sqlite", flow_run.c.state_type, flow_run.c.tags)
_index_pages("postgresql")  # differs because it refuses entries of more than 2,700 bytes, and tags may be longer

flow_run_tally = Table(
    "flow_run_tally",
    metadata,
    # How many runs have ended, per what they are asked by: the sum of `runs` over the rows of a key. Triggers on
    # flow_run append to it (store/tally.py); a loop adds rows up. Runs that live are in live_run.
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("flow_id", Uuid, nullable=False),
    Column("deployment_id", Uuid),
    Column("work_pool_id", Uuid),
    Column("work_queue_id", Uuid),
    Column("state_type", String),
    Column("state_name", String),
    Column("runs", Integer, nullable=False),
)

flow_run_state = Table(
    "flow_run_state",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),  # commit order within one writer
    Column("id", Uuid, nullable=False, unique=True),
    Column("flow_run_id", ForeignKey("flow_run.id", ondelete="CASCADE"), nullable=False),
    Column("type", String, nullable=False),
    Column("name", String, nullable=False),
    Column("timestamp", Instant, nullable=False),
    Column("message", Text),
    Column("data", Json),
    Column("state_details", Json, nullable=False, default=dict),
    Column("attempt", Integer),
    UniqueConstraint("flow_run_id", "timestamp"),
)

live_run = Table(
    "live_run",
    metadata,
    Column("flow_run_id", ForeignKey("flow_run.id", ondelete="CASCADE"), primary_key=True),
    Column("state_type", String, nullable=False),
    Column("state_name", String, nullable=False),
    Column("work_pool_id", Uuid),
    Column("work_queue_id", Uuid),
    Column("deployment_id", Uuid),
    Column("due", Instant),  # when what waits in SCHEDULED should start, or a pause runs out
    # SCHEDULED, not an in-process retry, and the process of its last attempt has ended.
    Column("claimable", Boolean, nullable=False, default=False),
    Column("attempt", Integer),  # number of the attempt that owns the run now, if one does
    Column("state_since", Instant, nullable=False),
    Column("retries_used", Integer, nullable=False, default=0),  # by failures and crashes, since the last restart
    Column("start_failures", Integer, nullable=False, default=0),
    CheckConstraint(f"state_type NOT IN {_FINAL}", name="never_final"),
    Index(
        "ix_live_run_queue_due",  # the whole order, because many may be due at one moment
        "work_queue_id",
        "due",
        "flow_run_id",
        sqlite_where=text("claimable"),
        postgresql_where=text("claimable"),
    ),
    Index(
        "ix_live_run_heads",  # from one deployment of a queue to the next, whatever waits behind the first run of each
        "work_queue_id",
        "deployment_id",
        "due",
        "flow_run_id",
        sqlite_where=text("claimable"),
        postgresql_where=text("claimable"),
    ),
    Index("ix_live_run_deployment_due", "deployment_id", "due"),
    Index("ix_live_run_pool_state", "work_pool_id", "state_type"),
    Index("ix_live_run_state_due", "state_type", "due"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("flow_run_id", ForeignKey("flow_run.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("token", String, nullable=False),
    Column("nonce", String),  # set by the first RUNNING: the process that owns the attempt
    Column("claim_id", Uuid),
    Column("worker_id", Uuid),  # null: nobody claimed it (python my_flow.py, serve)
    Column("worker_name", String),
    Column("work_pool_id", Uuid),
    Column("handle", Json),
    Column("opened", Instant, nullable=False),
    Column("reported", Instant),  # the worker said that it has started
    Column("started", Instant),  # first RUNNING
    Column("ended", Instant),
    Column("outcome", Json),
    Column("counts", Boolean, nullable=False, default=True),  # False: released or never started
    Column("lease_end", Instant),
    Column("worker_renewed", Instant),  # when its worker last vouched for it
    Index(
        "uq_attempt_one_live",
        "flow_run_id",
        unique=True,
        sqlite_where=text("ended IS NULL"),
        postgresql_where=text("ended IS NULL"),
    ),
    Index("ix_attempt_claim", "claim_id"),
    Index(
        "ix_attempt_lease_end",  # all the reaper looks at
        "lease_end",
        sqlite_where=text("ended IS NULL"),
        postgresql_where=text("ended IS NULL"),
    ),
    Index(
        "ix_attempt_pool_heard",  # whose worker has gone silent
        "work_pool_id",
        "worker_renewed",
        sqlite_where=text("ended IS NULL"),
        postgresql_where=text("ended IS NULL"),
    ),
    Index(
        "ix_attempt_worker_live",
        "worker_id",
        sqlite_where=text("ended IS NULL"),
        postgresql_where=text("ended IS NULL"),
    ),
)

slot = Table(
    "slot",
    metadata,
    # limit_id is the id of the pool, the queue or the deployment whose limit the row counts against.
    Column("limit_id", Uuid, primary_key=True),
    Column("flow_run_id", ForeignKey("flow_run.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String, nullable=False),  # pool | queue | deployment
    Column("attempt", Integer),
    Column("lease_id", Uuid),  # the wire's deployment_concurrency_lease_id
    Column("taken", Instant, nullable=False),
    Column("lease_end", Instant),  # for engines without an attempt lease (stock Prefect)
    CheckConstraint("kind IN ('pool','queue','deployment')", name="known_kind"),
    Index("ix_slot_flow_run", "flow_run_id"),
    Index("ix_slot_lease", "lease_id"),
)

flow_run_input = Table(
    "flow_run_input",
    metadata,
    *_identity(),
    Column("flow_run_id", ForeignKey("flow_run.id", ondelete="CASCADE"), nullable=False),
    Column("key", String, nullable=False),
    Column("value", Text, nullable=False),
    Column("sender", String),
    UniqueConstraint("flow_run_id", "key"),
)

task_run = Table(
    "task_run",
    metadata,
    *_identity(),
    Column("name", String, nullable=False),
    Column("flow_run_id", ForeignKey("flow_run.id", ondelete="CASCADE")),
    Column("task_key", String, nullable=False),
    Column("dynamic_key", String, nullable=False),
    Column("cache_key", String),
    Column("cache_expiration", Instant),
    Column("task_version", String),
    Column("empirical_policy", Json, nullable=False, default=dict),
    Column("tags", Json, nullable=False, default=list),
    Column("labels", Json, nullable=False, default=dict),
    Column("state_id", Uuid),
    Column("state_type", String),
    Column("state_name", String),
    Column("state_timestamp", Instant),
    Column("task_inputs", Json, nullable=False, default=dict),
    Column("run_count", Integer, nullable=False, default=0),
    Column("flow_run_run_count", Integer, nullable=False, default=0),
    Column("attempt", Integer),  # of the flow run that reported it; an older one never overwrites
    Column("expected_start_time", Instant),
    Column("next_scheduled_start_time", Instant),
    Column("start_time", Instant),
    Column("end_time", Instant),
    Column("total_run_time", Float, nullable=False, default=0.0),
    UniqueConstraint("flow_run_id", "task_key", "dynamic_key"),
    Index("ix_task_run_newest", "expected_start_time", "id"),
    Index("ix_task_run_state", "state_type", "expected_start_time"),
)

task_run_state = Table(
    "task_run_state",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("id", Uuid, nullable=False, unique=True),
    Column("task_run_id", ForeignKey("task_run.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("type", String, nullable=False),
    Column("name", String, nullable=False),
    Column("timestamp", Instant, nullable=False),
    Column("message", Text),
    Column("data", Json),
    Column("state_details", Json, nullable=False, default=dict),
)

task_run_cache = Table(
    "task_run_cache",
    metadata,
    Column("cache_key", String, primary_key=True),
    Column("task_run_state_id", Uuid, nullable=False),
    Column("cache_expiration", Instant),
    Column("created", Instant, nullable=False),
)

server_beat = Table(
    "server_beat",
    metadata,
    # One row: when some replica's reaper last ran, and since when it has been reachable without a gap.
    Column("name", String, primary_key=True),
    Column("beat", Instant, nullable=False),
    Column("reachable_since", Instant, nullable=False),
)

default_template = Table(
    "default_template",
    metadata,
    # Worker types the server has no driver for, as the first worker that registered described them.
    Column("type", String, primary_key=True),
    Column("base_job_template", Json, nullable=False),
    Column("created", Instant, nullable=False),
)

log = Table(
    "log",
    telemetry,
    *_identity(),
    Column("name", String, nullable=False),
    Column("level", Integer, nullable=False),
    Column("message", Text, nullable=False),
    Column("timestamp", Instant, nullable=False),
    Column("flow_run_id", Uuid),
    Column("task_run_id", Uuid),
    Column("attempt", Integer),
    Column("position", Integer),  # byte offset in the captured stream, when there is one
    Index("ix_log_flow_run", "flow_run_id", "timestamp", "attempt", "position"),
    Index("ix_log_task_run", "task_run_id", "timestamp"),
    Index("ix_log_timestamp", "timestamp"),
)

event = Table(
    "event",
    telemetry,
    Column("id", Uuid, primary_key=True),
    Column("occurred", Instant, nullable=False, index=True),
    Column("received", Instant, nullable=False),
    Column("event", String, nullable=False),
    Column("resource_id", String, nullable=False, index=True),
    Column("resource", Json, nullable=False),
    Column("related", Json, nullable=False, default=list),
    Column("payload", Json, nullable=False, default=dict),
    Column("follows", Uuid),
)

dead_letter = Table(
    "dead_letter",
    telemetry,
    Column("id", Uuid, primary_key=True),
    Column("received", Instant, nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("payload", Json, nullable=False),
)
