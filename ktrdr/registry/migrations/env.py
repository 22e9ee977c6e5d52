"""What Alembic runs for `upgrade`."""

from __future__ import annotations

from alembic import context

from ktrdr.registry.migrations import CONNECTION
from ktrdr.registry.tables import VERSION_TABLE

context.configure(connection=context.config.attributes[CONNECTION], version_table=VERSION_TABLE)
context.run_migrations()
