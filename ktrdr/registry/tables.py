"""The registry's tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant, also in a database without time zones (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


class Base(DeclarativeBase):
    metadata = MetaData()
    type_annotation_map = {dict[str, Any]: JSON, datetime: Instant}  # noqa: RUF012 (SQLAlchemy's own protocol)


class OperationRow(Base):
    __tablename__ = "operations"

    operation_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    operation_type: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    parent_id: Mapped[str | None] = mapped_column(String(64))
    idempotency_key: Mapped[str | None] = mapped_column(String(128), unique=True)
    worker_pid: Mapped[int | None]
    worker_started_at: Mapped[float | None]
    details: Mapped[dict[str, Any]]
    """metadata, progress, error, payload and the boot of the worker: read and written whole, never searched."""
    results: Mapped[dict[str, Any] | None] = mapped_column(JSON, deferred=True)

    __table_args__ = (
        Index("operations_by_creation", "created_at", "operation_id"),
        Index("operations_by_status", "status"),
        Index("operations_by_parent", "parent_id"),
    )


class MetricRow(Base):
    __tablename__ = "metrics"

    operation_id: Mapped[str] = mapped_column(ForeignKey("operations.operation_id"), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    record: Mapped[dict[str, Any]]


class RunRow(Base):
    """The summary of an operation that trains, and what people have written to it."""

    __tablename__ = "runs"

    operation_id: Mapped[str] = mapped_column(ForeignKey("operations.operation_id"), primary_key=True)
    summary: Mapped[str | None] = mapped_column(Text)
    """A `RunSummary` as JSON; none before the operation has ended, and for records of earlier versions."""
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    note: Mapped[str] = mapped_column(default="")


class HomeRow(Base):
    """The one home that this registry serves; at most one row."""

    __tablename__ = "home"

    home_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    location: Mapped[str]
    """Where the home lay when a server last opened it, as an absolute path."""


class PingRow(Base):
    """No row stays here: deleting from it shows that the registry can be written."""

    __tablename__ = "ping"

    at: Mapped[int] = mapped_column(primary_key=True)


VERSION_TABLE = "registry_version"


class VersionRow(Base):
    """The version of these tables' layout, in the form that Alembic reads and writes; one row."""

    __tablename__ = VERSION_TABLE

    version_num: Mapped[str] = mapped_column(String(32), primary_key=True)
