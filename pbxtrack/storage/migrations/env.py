"""Alembic's entry: runs on the connection that :mod:`pbxtrack.storage.migrate` gives it."""

from alembic import context

from pbxtrack.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
    compare_type=True,
)
context.run_migrations()
