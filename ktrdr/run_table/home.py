"""Reads the runs of a home from its registry, whether a server uses it or not; changes nothing."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ktrdr import __version__
from ktrdr.errors import InputError, StorageError
from ktrdr.operations.operation import Operation
from ktrdr.payloads.runs import Annotations
from ktrdr.registry import schema
from ktrdr.registry.engine import open_engine
from ktrdr.registry.records import read_records, read_results
from ktrdr.registry.runs import read_runs
from ktrdr.registry.sqlite_file import connected
from ktrdr.registry.tables import OperationRow
from ktrdr.run_table.rows import Runs
from ktrdr.run_table.summary import RUN_TYPES, parse_summary, summarise


def read_home(registry: Path, database_url: str) -> Runs:
    """All runs in the SQLite file of a home, or in the database that the URL names.

    Raises InputError without a registry, and StorageError when it cannot be read or is of another version.
    """
    try:
        if database_url:
            # In a thread of its own, because a notebook runs an event loop already.
            with ThreadPoolExecutor(1) as thread:
                return thread.submit(asyncio.run, _read_database(database_url)).result()
        if not registry.is_file():
            raise InputError(f"there is no registry in {registry.parent}", hint="name another home, or set KTRDR_HOME")
        with connected(registry) as connection:
            return _read(connection)
    except (SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise StorageError(f"the registry cannot be read: {cause}", hint="see what is wrong: ktrdr doctor") from error


async def _read_database(url: str) -> Runs:
    engine = open_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_read)
    finally:
        await engine.dispose()


def _read(connection: Connection) -> Runs:
    if (version := schema.read_version(connection)) != schema.NEWEST:
        raise StorageError(
            f"the registry has layout {version}, and ktrdr {__version__} reads {schema.NEWEST}",
            hint="start a server on this home once, which brings it up to date: ktrdr serve",
        )
    session, runs = Session(connection), Runs()
    annotations: dict[str, Annotations] = {}
    read: set[str] = set()
    for stored in read_runs(session):
        annotations[stored.operation_id] = stored.annotations
        if summary := parse_summary(stored.summary):
            runs.put(summary, stored.annotations)
            read.add(stored.operation_id)
    for operation in _others(session, read):
        results = read_results(session, [operation.operation_id]).get(operation.operation_id)
        if summary := summarise(operation, results):
            runs.put(summary, annotations.get(operation.operation_id, Annotations()))
    return runs


def _others(session: Session, read: set[str]) -> list[Operation]:
    """The trainings without a stored summary: unfinished ones, and those of earlier versions."""
    of_type = OperationRow.operation_type.in_(RUN_TYPES)
    missing = set(session.execute(select(OperationRow.operation_id).where(of_type)).scalars()) - read
    query = select(OperationRow).where(OperationRow.operation_id.in_(missing))
    return [record for record in read_records(session, query) if isinstance(record, Operation)]
