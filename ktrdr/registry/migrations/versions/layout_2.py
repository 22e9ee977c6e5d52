"""The home that the registry serves, parts of a whole found by their parent, and a table that is written as a test."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Integer, String

revision = "2"
down_revision = "1"


def upgrade() -> None:
    # Each may be there: 0.1.0 made `ping`, and versions between the two the rest.
    op.create_table(
        "home",
        Column("home_id", String(32), primary_key=True),
        Column("location", String(), nullable=False),
        if_not_exists=True,
    )
    op.create_table("ping", Column("at", Integer(), primary_key=True), if_not_exists=True)
    op.create_index("operations_by_parent", "operations", ["parent_id"], if_not_exists=True)
