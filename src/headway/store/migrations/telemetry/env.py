"""Alembic runs this with the connection that `headway.store.migrate` hands over."""

from alembic import context

settings = context.config.attributes
context.configure(
    connection=settings["connection"],
    target_metadata=settings["metadata"],
    version_table=settings["version_table"],
    render_as_batch=settings["connection"].dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
