"""For speed, and for several servers on one PostgreSQL."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# Tables whose rows come and go or change all the time: vacuumed after so many dead rows however large they are,
# and without pauses, because they are small or their dead rows are many.
CHURNING = {"live_run": 1000, "slot": 1000, "attempt": 5000, "worker": 200, "work_queue": 200, "server_beat": 200}
# Tables that grow for ever: vacuumed after a small share of them has changed, not a fifth of years.
GROWING = ("flow_run", "flow_run_state", "task_run", "task_run_state")


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        _tune_postgresql()


def _tune_postgresql() -> None:
    """differs because SQLite has no vacuum to tune, and its integers have 64 bits anyway."""
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
