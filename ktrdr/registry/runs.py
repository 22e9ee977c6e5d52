"""Summaries of runs in the registry, and what people have written to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.runs import Annotations
from ktrdr.registry.store import SqlOperationStore
from ktrdr.registry.tables import OperationRow, RunRow

_ENDED = [str(status) for status in OperationStatus if status.is_terminal]


@dataclass(frozen=True, slots=True)
class StoredRun:
    """What the registry holds of one run.

    summary: its `RunSummary` as JSON; None where there is none yet
    annotations: its tags and its note
    """

    operation_id: str
    summary: str | None
    annotations: Annotations

    @property
    def is_annotated(self) -> bool:
        return bool(self.annotations.tags or self.annotations.note)


class SqlRunStore:
    """Stores a summary and annotations for operations of `registry`, which removes them with the operation.

    Thread safety, consistency and durability are those of the registry. Raises StorageError.
    """

    def __init__(self, registry: SqlOperationStore) -> None:
        self._registry = registry

    async def all(self) -> list[StoredRun]:
        """Every run that has a summary or annotations."""
        async with self._registry.reading() as session:
            return await session.run_sync(read_runs)

    async def get(self, operation_id: str) -> StoredRun | None:
        async with self._registry.reading() as session:
            row = await session.get(RunRow, operation_id)
            return _stored(row) if row else None

    async def ended(self, operation_types: Collection[str]) -> list[str]:
        """The ids of all operations of these types that have ended, oldest first."""
        async with self._registry.reading() as session:
            return await session.run_sync(read_ended, operation_types)

    async def put(self, summaries: Mapping[str, str]) -> None:
        """Store summaries by operation id; those of operations that are gone are ignored."""
        async with self._registry.writing() as session:
            present = await session.run_sync(_present, summaries)
            for operation_id in present:
                await session.merge(RunRow(operation_id=operation_id, summary=summaries[operation_id]))

    async def annotate(self, annotations: Mapping[str, Annotations]) -> None:
        """Store annotations by operation id, all or none; those of operations that are gone are ignored."""
        async with self._registry.writing() as session:
            present = await session.run_sync(_present, annotations)
            for operation_id in present:
                own = annotations[operation_id]
                await session.merge(RunRow(operation_id=operation_id, tags=list(own.tags), note=own.note))


def read_runs(session: Session) -> list[StoredRun]:
    rows = session.execute(select(RunRow.operation_id, RunRow.summary, RunRow.tags, RunRow.note))
    return [
        StoredRun(operation_id, summary, Annotations(tags=tuple(tags), note=note))
        for operation_id, summary, tags, note in rows
    ]


def read_ended(session: Session, operation_types: Collection[str]) -> list[str]:
    query = select(OperationRow.operation_id).where(
        OperationRow.operation_type.in_(operation_types), OperationRow.status.in_(_ENDED)
    )
    return list(session.execute(query.order_by(OperationRow.created_at, OperationRow.operation_id)).scalars())


def _present(session: Session, operation_ids: Collection[str]) -> list[str]:
    query = select(OperationRow.operation_id).where(OperationRow.operation_id.in_(list(operation_ids)))
    return list(session.execute(query).scalars())


def _stored(row: RunRow) -> StoredRun:
    return StoredRun(row.operation_id, row.summary, Annotations(tags=tuple(row.tags), note=row.note))
