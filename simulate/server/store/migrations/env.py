"""What Alembic runs: the migrations, on the connection that the store hands over."""

from alembic import context

from simulate.server.store.schema import metadata

# Alembic makes this attribute only while it runs this file
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
