"""The tables of 0.1.0, which had no version. The first of its registries knew no idempotency keys."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, String, inspect

revision = "1"
down_revision = None


def upgrade() -> None:
    columns = {column["name"] for column in inspect(op.get_bind()).get_columns("operations")}
    if "idempotency_key" not in columns:
        op.add_column("operations", Column("idempotency_key", String(128)))
        op.create_index("operations_by_key", "operations", ["idempotency_key"], unique=True)
