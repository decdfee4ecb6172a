"""The first schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from headway.store.guards import pool_type_guard

revision = "0001"
down_revision = None

JSON = sa.Text().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "default_template",
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("base_job_template", JSON, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("type", name=op.f("pk_default_template")),
    )
    op.create_table(
        "flow",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow")),
        sa.UniqueConstraint("name", name=op.f("uq_flow_name")),
    )
    op.create_table(
        "server_beat",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("reachable_since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_server_beat")),
    )
    op.create_table(
        "task_run_cache",
        sa.Column("cache_key", sa.String(), nullable=False),
        sa.Column("task_run_state_id", sa.Uuid(), nullable=False),
        sa.Column("cache_expiration", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cache_key", name=op.f("pk_task_run_cache")),
    )
    op.create_table(
        "work_pool",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("base_job_template", JSON, nullable=False),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("default_queue_id", sa.Uuid(), nullable=True),
        sa.Column("storage_configuration", JSON, nullable=False),
        sa.CheckConstraint("concurrency_limit >= 0", name=op.f("ck_work_pool_limit_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_pool")),
        sa.UniqueConstraint("name", name=op.f("uq_work_pool_name")),
    )
    op.create_table(
        "flow_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("state_id", sa.Uuid(), nullable=True),
        sa.Column("state_type", sa.String(), nullable=True),
        sa.Column("state_name", sa.String(), nullable=True),
        sa.Column("state_timestamp", sa.BigInteger(), nullable=True),
        sa.Column("deployment_id", sa.Uuid(), nullable=True),
        sa.Column("deployment_version", sa.String(), nullable=True),
        sa.Column("schedule_id", sa.Uuid(), nullable=True),
        sa.Column("work_pool_id", sa.Uuid(), nullable=True),
        sa.Column("work_queue_id", sa.Uuid(), nullable=True),
        sa.Column("work_queue_name", sa.String(), nullable=True),
        sa.Column("flow_version", sa.String(), nullable=True),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("context", JSON, nullable=False),
        sa.Column("empirical_policy", JSON, nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("parent_task_run_id", sa.Uuid(), nullable=True),
        sa.Column("root_flow_run_id", sa.Uuid(), nullable=True),
        sa.Column("run_count", sa.Integer(), nullable=False),
        sa.Column("expected_start_time", sa.BigInteger(), nullable=True),
        sa.Column("next_scheduled_start_time", sa.BigInteger(), nullable=True),
        sa.Column("start_time", sa.BigInteger(), nullable=True),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("total_run_time", sa.Float(), nullable=False),
        sa.Column("auto_scheduled", sa.Boolean(), nullable=False),
        sa.Column("infrastructure_document_id", sa.Uuid(), nullable=True),
        sa.Column("infrastructure_pid", sa.String(), nullable=True),
        sa.Column("created_by", JSON, nullable=True),
        sa.Column("job_variables", JSON, nullable=False),
        sa.CheckConstraint(
            "(state_type IN ('COMPLETED','FAILED','CANCELLED','CRASHED')) = (end_time IS NOT NULL)"
            " OR state_type IS NULL",
            name=op.f("ck_flow_run_final_iff_ended"),
        ),
        sa.ForeignKeyConstraint(["flow_id"], ["flow.id"], name=op.f("fk_flow_run_flow_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow_run")),
        sa.UniqueConstraint("flow_id", "idempotency_key", name=op.f("uq_flow_run_flow_id_idempotency_key")),
    )
    op.create_index(op.f("ix_flow_run_deployment_id"), "flow_run", ["deployment_id"], unique=False)
    op.create_index("ix_flow_run_ended", "flow_run", ["end_time"], unique=False)
    op.create_index(op.f("ix_flow_run_flow_id"), "flow_run", ["flow_id"], unique=False)
    op.create_index("ix_flow_run_name", "flow_run", ["name"], unique=False)
    op.create_index("ix_flow_run_newest", "flow_run", ["expected_start_time", "id"], unique=False)
    op.create_index(op.f("ix_flow_run_parent_task_run_id"), "flow_run", ["parent_task_run_id"], unique=False)
    op.create_index(op.f("ix_flow_run_root_flow_run_id"), "flow_run", ["root_flow_run_id"], unique=False)
    op.create_index(op.f("ix_flow_run_schedule_id"), "flow_run", ["schedule_id"], unique=False)
    op.create_index("ix_flow_run_started", "flow_run", ["start_time"], unique=False)
    op.create_index("ix_flow_run_state", "flow_run", ["state_type", "expected_start_time"], unique=False)
    op.create_index(op.f("ix_flow_run_work_queue_id"), "flow_run", ["work_queue_id"], unique=False)
    op.create_table(
        "work_queue",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("work_pool_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("filter", JSON, nullable=True),
        sa.Column("last_polled", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.CheckConstraint("concurrency_limit >= 0", name=op.f("ck_work_queue_limit_not_negative")),
        sa.CheckConstraint("priority >= 0", name=op.f("ck_work_queue_priority_not_negative")),
        sa.ForeignKeyConstraint(
            ["work_pool_id"], ["work_pool.id"], name=op.f("fk_work_queue_work_pool_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_queue")),
        sa.UniqueConstraint("work_pool_id", "name", name=op.f("uq_work_queue_work_pool_id_name")),
    )
    op.create_table(
        "worker",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("work_pool_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("last_heartbeat_time", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat_interval_seconds", sa.Integer(), nullable=False),
        sa.Column("work_queues", JSON, nullable=False),
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("flow_run_ids", JSON, nullable=False),
        sa.Column("client", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["work_pool_id"], ["work_pool.id"], name=op.f("fk_worker_work_pool_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
        sa.UniqueConstraint("work_pool_id", "name", name=op.f("uq_worker_work_pool_id_name")),
    )
    op.create_table(
        "attempt",
        sa.Column("flow_run_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=True),
        sa.Column("claim_id", sa.Uuid(), nullable=True),
        sa.Column("worker_id", sa.Uuid(), nullable=True),
        sa.Column("worker_name", sa.String(), nullable=True),
        sa.Column("work_pool_id", sa.Uuid(), nullable=True),
        sa.Column("handle", JSON, nullable=True),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("reported", sa.BigInteger(), nullable=True),
        sa.Column("started", sa.BigInteger(), nullable=True),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("outcome", JSON, nullable=True),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("lease_end", sa.BigInteger(), nullable=True),
        sa.Column("worker_renewed", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["flow_run_id"], ["flow_run.id"], name=op.f("fk_attempt_flow_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("flow_run_id", "number", name=op.f("pk_attempt")),
    )
    op.create_index("ix_attempt_claim", "attempt", ["claim_id"], unique=False)
    op.create_index(
        "ix_attempt_lease_end",
        "attempt",
        ["lease_end"],
        unique=False,
        sqlite_where=sa.text("ended IS NULL"),
        postgresql_where=sa.text("ended IS NULL"),
    )
    op.create_index(
        "ix_attempt_pool_live",
        "attempt",
        ["work_pool_id"],
        unique=False,
        sqlite_where=sa.text("ended IS NULL"),
        postgresql_where=sa.text("ended IS NULL"),
    )
    op.create_index(
        "uq_attempt_one_live",
        "attempt",
        ["flow_run_id"],
        unique=True,
        sqlite_where=sa.text("ended IS NULL"),
        postgresql_where=sa.text("ended IS NULL"),
    )
    op.create_table(
        "deployment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("concurrency_options", JSON, nullable=True),
        sa.Column("job_variables", JSON, nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("parameter_openapi_schema", JSON, nullable=True),
        sa.Column("enforce_parameter_schema", sa.Boolean(), nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("work_pool_id", sa.Uuid(), nullable=True),
        sa.Column("work_queue_id", sa.Uuid(), nullable=True),
        sa.Column("work_queue_name", sa.String(), nullable=True),
        sa.Column("last_polled", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("entrypoint", sa.Text(), nullable=True),
        sa.Column("pull_steps", JSON, nullable=True),
        sa.Column("storage_document_id", sa.Uuid(), nullable=True),
        sa.Column("infrastructure_document_id", sa.Uuid(), nullable=True),
        sa.Column("created_by", JSON, nullable=True),
        sa.Column("updated_by", JSON, nullable=True),
        sa.Column("retries", sa.Integer(), nullable=True),
        sa.Column("retry_delay", sa.Float(), nullable=True),
        sa.Column("retry_on_crash", sa.Boolean(), nullable=True),
        sa.CheckConstraint("concurrency_limit >= 0", name=op.f("ck_deployment_limit_not_negative")),
        sa.ForeignKeyConstraint(["flow_id"], ["flow.id"], name=op.f("fk_deployment_flow_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["work_pool_id"], ["work_pool.id"], name=op.f("fk_deployment_work_pool_id")),
        sa.ForeignKeyConstraint(["work_queue_id"], ["work_queue.id"], name=op.f("fk_deployment_work_queue_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment")),
        sa.UniqueConstraint("flow_id", "name", name=op.f("uq_deployment_flow_id_name")),
    )
    op.create_index(op.f("ix_deployment_flow_id"), "deployment", ["flow_id"], unique=False)
    op.create_index(op.f("ix_deployment_work_pool_id"), "deployment", ["work_pool_id"], unique=False)
    op.create_index(op.f("ix_deployment_work_queue_id"), "deployment", ["work_queue_id"], unique=False)
    op.create_table(
        "flow_run_input",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("flow_run_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("sender", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["flow_run_id"], ["flow_run.id"], name=op.f("fk_flow_run_input_flow_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow_run_input")),
        sa.UniqueConstraint("flow_run_id", "key", name=op.f("uq_flow_run_input_flow_run_id_key")),
    )
    op.create_table(
        "flow_run_state",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("flow_run_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("data", JSON, nullable=True),
        sa.Column("state_details", JSON, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["flow_run_id"], ["flow_run.id"], name=op.f("fk_flow_run_state_flow_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_flow_run_state")),
        sa.UniqueConstraint("flow_run_id", "timestamp", name=op.f("uq_flow_run_state_flow_run_id_timestamp")),
        sa.UniqueConstraint("id", name=op.f("uq_flow_run_state_id")),
    )
    op.create_table(
        "live_run",
        sa.Column("flow_run_id", sa.Uuid(), nullable=False),
        sa.Column("state_type", sa.String(), nullable=False),
        sa.Column("state_name", sa.String(), nullable=False),
        sa.Column("work_pool_id", sa.Uuid(), nullable=True),
        sa.Column("work_queue_id", sa.Uuid(), nullable=True),
        sa.Column("deployment_id", sa.Uuid(), nullable=True),
        sa.Column("due", sa.BigInteger(), nullable=True),
        sa.Column("claimable", sa.Boolean(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("state_since", sa.BigInteger(), nullable=False),
        sa.Column("retries_used", sa.Integer(), nullable=False),
        sa.Column("start_failures", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state_type NOT IN ('COMPLETED','FAILED','CANCELLED','CRASHED')", name=op.f("ck_live_run_never_final")
        ),
        sa.ForeignKeyConstraint(
            ["flow_run_id"], ["flow_run.id"], name=op.f("fk_live_run_flow_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("flow_run_id", name=op.f("pk_live_run")),
    )
    op.create_index("ix_live_run_deployment_due", "live_run", ["deployment_id", "due"], unique=False)
    op.create_index("ix_live_run_pool_state", "live_run", ["work_pool_id", "state_type"], unique=False)
    op.create_index(
        "ix_live_run_queue_due",
        "live_run",
        ["work_queue_id", "due"],
        unique=False,
        sqlite_where=sa.text("claimable"),
        postgresql_where=sa.text("claimable"),
    )
    op.create_index("ix_live_run_state_due", "live_run", ["state_type", "due"], unique=False)
    op.create_table(
        "slot",
        sa.Column("limit_id", sa.Uuid(), nullable=False),
        sa.Column("flow_run_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("lease_id", sa.Uuid(), nullable=True),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.Column("lease_end", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('pool','queue','deployment')", name=op.f("ck_slot_known_kind")),
        sa.ForeignKeyConstraint(["flow_run_id"], ["flow_run.id"], name=op.f("fk_slot_flow_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("limit_id", "flow_run_id", name=op.f("pk_slot")),
    )
    op.create_index("ix_slot_flow_run", "slot", ["flow_run_id"], unique=False)
    op.create_index("ix_slot_lease", "slot", ["lease_id"], unique=False)
    op.create_table(
        "task_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("flow_run_id", sa.Uuid(), nullable=True),
        sa.Column("task_key", sa.String(), nullable=False),
        sa.Column("dynamic_key", sa.String(), nullable=False),
        sa.Column("cache_key", sa.String(), nullable=True),
        sa.Column("cache_expiration", sa.BigInteger(), nullable=True),
        sa.Column("task_version", sa.String(), nullable=True),
        sa.Column("empirical_policy", JSON, nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("state_id", sa.Uuid(), nullable=True),
        sa.Column("state_type", sa.String(), nullable=True),
        sa.Column("state_name", sa.String(), nullable=True),
        sa.Column("state_timestamp", sa.BigInteger(), nullable=True),
        sa.Column("task_inputs", JSON, nullable=False),
        sa.Column("run_count", sa.Integer(), nullable=False),
        sa.Column("flow_run_run_count", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("expected_start_time", sa.BigInteger(), nullable=True),
        sa.Column("next_scheduled_start_time", sa.BigInteger(), nullable=True),
        sa.Column("start_time", sa.BigInteger(), nullable=True),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("total_run_time", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["flow_run_id"], ["flow_run.id"], name=op.f("fk_task_run_flow_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_run")),
        sa.UniqueConstraint(
            "flow_run_id", "task_key", "dynamic_key", name=op.f("uq_task_run_flow_run_id_task_key_dynamic_key")
        ),
    )
    op.create_index("ix_task_run_newest", "task_run", ["expected_start_time", "id"], unique=False)
    op.create_index("ix_task_run_state", "task_run", ["state_type", "expected_start_time"], unique=False)
    op.create_table(
        "deployment_schedule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("schedule", JSON, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("max_scheduled_runs", sa.Integer(), nullable=True),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("slug", sa.String(), nullable=True),
        sa.Column("replaces", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name=op.f("fk_deployment_schedule_deployment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment_schedule")),
    )
    op.create_index(
        op.f("ix_deployment_schedule_deployment_id"), "deployment_schedule", ["deployment_id"], unique=False
    )
    op.create_table(
        "task_run_state",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("task_run_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("data", JSON, nullable=True),
        sa.Column("state_details", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["task_run_id"], ["task_run.id"], name=op.f("fk_task_run_state_task_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_task_run_state")),
        sa.UniqueConstraint("id", name=op.f("uq_task_run_state_id")),
    )
    op.create_index(op.f("ix_task_run_state_task_run_id"), "task_run_state", ["task_run_id"], unique=False)
    op.execute(pool_type_guard(op.get_bind().dialect.name))
