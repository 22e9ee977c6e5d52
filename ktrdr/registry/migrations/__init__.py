"""Migrations of the registry's tables with Alembic: one file in `versions` for each layout, numbered from 1.

A migration only adds (tables, columns, indexes), so that none can lose a record. It names tables by text and not by
the classes of `ktrdr.registry.tables`, which change later.
"""

from __future__ import annotations

import logging
from pathlib import Path

from sqlalchemy import Connection

CONNECTION = "connection"
"""The attribute of Alembic's configuration that holds the connection."""


def upgrade(connection: Connection) -> None:
    """Bring the tables to the newest layout, within the connection's transaction. Raises SQLAlchemyError."""
    # Imported only here, because nearly every start of the server finds the newest layout.
    from alembic import command
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    configuration = Config(attributes={CONNECTION: connection})
    configuration.set_main_option("script_location", str(Path(__file__).parent))
    command.upgrade(configuration, "head")
