"""Summaries of runs, with their tags and notes; a server fills them in for the operations that are there."""

from __future__ import annotations

from alembic import op
from sqlalchemy import JSON, Column, ForeignKey, String, Text

revision = "3"
down_revision = "2"


def upgrade() -> None:
    op.create_table(
        "runs",
        Column("operation_id", String(64), ForeignKey("operations.operation_id"), primary_key=True),
        Column("summary", Text()),
        Column("tags", JSON(), nullable=False),
        Column("note", String(), nullable=False),
        if_not_exists=True,
    )
