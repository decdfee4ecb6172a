"""The first schema."""

from alembic import op

from headway.store.tables import telemetry

revision = "0001"
down_revision = None


def upgrade() -> None:
    telemetry.create_all(op.get_bind())
