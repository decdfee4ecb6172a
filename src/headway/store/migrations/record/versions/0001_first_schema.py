"""The first schema."""

from alembic import op

from headway.store.guards import pool_type_guard
from headway.store.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    bind = op.get_bind()
    metadata.create_all(bind)
    op.execute(pool_type_guard(bind.dialect.name))
