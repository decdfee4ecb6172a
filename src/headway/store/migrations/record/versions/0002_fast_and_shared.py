"""For speed, and for several servers on one PostgreSQL."""

import sqlalchemy as sa
from alembic import op

from headway.store.guards import LOCK
from headway.store.tally import tally_ddl

COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0002"
down_revision = "0001"

# Tables whose rows come and go or change all the time: vacuumed after so many dead rows however large they are,
# and without pauses, because they are small or their dead rows are many.
CHURNING = {
    "live_run": 1000,
    "flow_run_tally": 5000,
    "slot": 1000,
    "attempt": 5000,
    "worker": 200,
    "work_queue": 200,
    "server_beat": 200,
}
# Tables that grow for ever: vacuumed after a small share of them has changed, not a fifth of years.
GROWING = ("flow_run", "flow_run_state", "task_run", "task_run_state")


def upgrade() -> None:
    _index_claims()
    dialect = op.get_bind().dialect.name
    _index_pages(dialect)
    _look_at_schedules()
    _tally_runs(dialect)
    if dialect == "postgresql":
        _tune_postgresql()


def _index_claims() -> None:
    """What claims, renewals and the reaper look at, by itself."""
    op.drop_index("ix_attempt_pool_live", "attempt")
    _partial("ix_attempt_pool_heard", "attempt", ["work_pool_id", "worker_renewed"], "ended IS NULL")
    _partial("ix_attempt_worker_live", "attempt", ["worker_id"], "ended IS NULL")
    op.drop_index("ix_live_run_queue_due", "live_run")
    _partial("ix_live_run_queue_due", "live_run", ["work_queue_id", "due", "flow_run_id"], "claimable")
    _partial("ix_live_run_heads", "live_run", ["work_queue_id", "deployment_id", "due", "flow_run_id"], "claimable")
    _partial("ix_deployment_collides", "deployment", ["work_pool_id"], "concurrency_options IS NOT NULL")


def _index_pages(dialect: str) -> None:
    """Runs in the order in which people look at them, all of them and those of one deployment."""
    started = sa.text("coalesce(start_time, expected_start_time)")
    # differs because PostgreSQL refuses entries of more than 2,700 bytes, and tags may be longer.
    more = ["state_type", "tags"] if dialect == "sqlite" else []
    # Every new run pays for each index: one that another begins with, and entries of what most runs do not have.
    op.drop_index("ix_flow_run_flow_id", "flow_run")
    op.drop_index("ix_flow_run_work_queue_id", "flow_run")
    for column in ("parent_task_run_id", "root_flow_run_id"):
        op.drop_index(f"ix_flow_run_{column}", "flow_run")
        _partial(f"ix_flow_run_{column}", "flow_run", [column], f"{column} IS NOT NULL")
    op.drop_index("ix_flow_run_started", "flow_run")
    op.drop_index("ix_flow_run_deployment_id", "flow_run")
    op.create_index("ix_flow_run_started", "flow_run", [started, "id"])
    if dialect == "postgresql":  # differs because there NULLs come first where SQLite has them last
        op.drop_index("ix_flow_run_ended", "flow_run")
        op.create_index("ix_flow_run_ended", "flow_run", [sa.text("end_time DESC NULLS LAST"), sa.text("id DESC")])
    op.create_index("ix_flow_run_deployment_started", "flow_run", ["deployment_id", started, "id", *more])
    op.create_index("ix_flow_run_deployment_due", "flow_run", ["deployment_id", "expected_start_time", "id", *more])


def _look_at_schedules() -> None:
    """When each has to be looked at again (store/scheduling.py)."""
    op.add_column("deployment_schedule", sa.Column("look_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_deployment_schedule_look_at", "deployment_schedule", ["look_at"])
    op.drop_index("ix_flow_run_schedule_id", "flow_run")
    _partial("ix_flow_run_schedule_due", "flow_run", ["schedule_id", "expected_start_time"], "schedule_id IS NOT NULL")


def _tally_runs(dialect: str) -> None:
    """Counts of what has ended, kept by triggers (store/tally.py)."""
    op.create_table(
        "flow_run_tally",
        sa.Column("seq", COUNTER, autoincrement=True, nullable=False),
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=True),
        sa.Column("work_pool_id", sa.Uuid(), nullable=True),
        sa.Column("work_queue_id", sa.Uuid(), nullable=True),
        sa.Column("state_type", sa.String(), nullable=True),
        sa.Column("state_name", sa.String(), nullable=True),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_flow_run_tally")),
    )
    for statement in tally_ddl(dialect):
        op.execute(statement)


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _tune_postgresql() -> None:
    """differs because SQLite has no rows to lock and no vacuum to tune, and its integers have 64 bits anyway."""
    op.execute(LOCK)
    for table in ("flow_run_state", "task_run_state"):
        op.alter_column(table, "seq", type_=sa.BigInteger(), existing_nullable=False)
        op.execute(f"ALTER SEQUENCE {table}_seq_seq AS bigint")
    for table, dead_rows in CHURNING.items():
        _set(
            table,
            fillfactor=70,  # room for a row's next version beside it
            autovacuum_vacuum_scale_factor=0,
            autovacuum_vacuum_threshold=dead_rows,
            autovacuum_vacuum_cost_delay=0,
            autovacuum_analyze_scale_factor=0.05,
        )
    for table in GROWING:
        _set(
            table,
            autovacuum_vacuum_scale_factor=0.02,
            autovacuum_vacuum_insert_scale_factor=0.05,
            autovacuum_analyze_scale_factor=0.02,
        )


def _set(table: str, **parameters: float) -> None:
    op.execute(f"ALTER TABLE {table} SET ({', '.join(f'{name} = {value}' for name, value in parameters.items())})")
