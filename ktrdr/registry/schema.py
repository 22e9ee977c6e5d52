"""The version of a registry's tables: creates them, brings older ones up to date, and refuses newer ones."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, create_engine, insert, inspect, select, text

from ktrdr import __version__
from ktrdr.errors import StorageError
from ktrdr.registry import migrations
from ktrdr.registry.tables import Base, MetricRow, OperationRow, VersionRow

NEWEST = "3"
"""The layout of the classes in `tables`; its migration is `migrations/versions/layout_3.py`."""
UNVERSIONED = "0.1.0"
"""Stands for registries from before versions were stored."""


def prepare(connection: Connection, back_up: Callable[[str], None]) -> None:
    """Create the tables, or bring older ones up to date after `back_up` was called with their version.

    All of it is part of the connection's transaction. Raises StorageError for tables of a newer version, or without a
    column of this one, and SQLAlchemyError.
    """
    version = read_version(connection)
    if version is None:
        create(connection)
    elif version != NEWEST:
        back_up(version)
        migrations.upgrade(connection)
    if missing := missing_columns(connection):
        raise StorageError(
            f"the registry is damaged: it has no {', '.join(missing)}",
            hint="restore a copy of it, or take over its records with: ktrdr doctor --repair",
        )


def create(connection: Connection) -> None:
    """Create the tables of the newest layout."""
    Base.metadata.create_all(connection)
    connection.execute(insert(VersionRow).values(version_num=NEWEST))


def read_version(connection: Connection) -> str | None:
    """The layout of the registry's tables; None where there are none yet. Raises StorageError for a newer one."""
    tables = inspect(connection).get_table_names()
    if VersionRow.__tablename__ not in tables:
        return UNVERSIONED if {OperationRow.__tablename__, MetricRow.__tablename__} & set(tables) else None
    version = connection.execute(select(VersionRow.version_num)).scalar()
    if version is None:
        return UNVERSIONED
    if version not in _known():
        raise StorageError(
            f"the registry is of a newer version of ktrdr: its layout is {version!r}, and ktrdr {__version__} knows "
            f"those up to {NEWEST}; nothing was changed",
            hint="use that version, or restore the copy that it left in the folder backup",
        )
    return version


def _known() -> set[str]:
    return {str(number) for number in range(1, int(NEWEST) + 1)}


def missing_columns(connection: Connection) -> list[str]:
    """The columns of the newest layout that are not there, as `table.column`."""
    tables = inspect(connection).get_multi_columns()
    present = {(name, column["name"]) for (_, name), columns in tables.items() for column in columns}
    columns = (column for table in Base.metadata.sorted_tables for column in table.columns)
    return [str(column) for column in columns if (column.table.name, column.name) not in present]


def missing_columns_once_upgraded(connection: Connection) -> list[str]:
    """The columns that a SQLite registry would lack even after it was brought up to date.

    For an older layout the migrations run on a copy of its empty tables in memory. Raises StorageError for a newer one,
    and SQLAlchemyError.
    """
    version = read_version(connection)
    if version is None:
        return []
    if version == NEWEST:
        return missing_columns(connection)
    statements = connection.execute(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")).scalars()
    with create_engine("sqlite://").begin() as rehearsal:
        for statement in statements:
            rehearsal.exec_driver_sql(statement)
        if version != UNVERSIONED:
            rehearsal.execute(insert(VersionRow).values(version_num=version))
        migrations.upgrade(rehearsal)
        return missing_columns(rehearsal)
