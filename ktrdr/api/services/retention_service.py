"""RetentionService: forget old operations, when somebody asks for it."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ktrdr.api.schemas.operations import Prune, Pruned, PrunedOperation
from ktrdr.errors import ConflictError, StorageError
from ktrdr.jobs.kinds import has_model
from ktrdr.operations.operation import Operation
from ktrdr.operations.service import OperationsService

logger = logging.getLogger(__name__)

_EVERY = 1_000_000_000
_NAME = re.compile(r"\w{1,64}", re.ASCII)

_Family = Sequence[Operation]


class RetentionService:
    """Removes records with their folders, `<root>/<operation_id>` under each of `roots`.

    The record goes first: a removal that is cut short leaves folders that nothing names, never an operation whose
    files are gone.
    """

    def __init__(self, operations: OperationsService, *, roots: Sequence[Path]) -> None:
        self._operations = operations
        self._roots = tuple(roots)
        self._pruning = asyncio.Lock()

    async def prune(self, request: Prune) -> Pruned:
        """Remove what ended before so many days, or with `dry_run` tell what that would be. Raises StorageError."""
        async with self._pruning:
            every = await self._operations.list_operations(limit=_EVERY)
            cutoff = datetime.now(UTC) - timedelta(days=request.older_than_days)
            leftovers: list[str] = []
            gone = [
                operation
                for family in _removable(every.operations, cutoff, request.keep_best)
                for operation in await self._prune_family(family, request.dry_run, leftovers)
            ]
        return Pruned(
            dry_run=request.dry_run,
            operations=gone,
            size_bytes=sum(operation.size_bytes for operation in gone),
            kept=every.total - len(gone),
            leftovers=leftovers,
        )

    async def _prune_family(self, family: _Family, dry_run: bool, leftovers: list[str]) -> list[PrunedOperation]:
        sizes = await asyncio.to_thread(lambda: [self._size_bytes(operation) for operation in family])
        if not dry_run:
            if self._operations.in_use() & {operation.operation_id for operation in family}:
                return []  # resumed since the list was made, or ending just now
            family = [operation async for operation in self._removed(family, leftovers)]
        return [_told(operation, size_bytes) for operation, size_bytes in zip(family, sizes, strict=False)]

    async def _removed(self, family: _Family, leftovers: list[str]) -> AsyncIterator[Operation]:
        """Remove a family, as far as nobody resumes a member meanwhile: its ancestors stay then."""
        for operation in family:
            try:
                await self._remove(operation, leftovers)
            except ConflictError:
                return
            yield operation

    async def _remove(self, operation: Operation, leftovers: list[str]) -> None:
        folders = self._folders(operation)
        await self._operations.remove_operation(operation.operation_id)
        for folder in folders:
            try:
                await asyncio.to_thread(shutil.rmtree, folder)
            except OSError as error:
                logger.error("The folder %s of a removed operation is left: %s", folder, error)
                leftovers.append(str(folder))

    def _size_bytes(self, operation: Operation) -> int:
        return sum(_size_bytes(folder) for folder in self._folders(operation))

    def _folders(self, operation: Operation) -> list[Path]:
        name = operation.operation_id
        if not _NAME.fullmatch(name):
            raise StorageError(
                f"the registry names an operation {name!r}", hint="ktrdr gives no such names; nothing is removed"
            )
        try:
            return [folder for root in self._roots if (folder := root / name).is_dir() and not folder.is_symlink()]
        except OSError as error:
            raise StorageError(f"the folders of {name} cannot be read: {error}", hint="try again") from error


def _removable(every: Sequence[Operation], cutoff: datetime, keep_best: int) -> list[_Family]:
    """Those of whom none must stay: a training and those that were resumed from it stay or go together."""
    best = {operation.operation_id for operation in _best(every, keep_best)}
    return [
        family
        for family in _families(every)
        if all(_is_old(member, cutoff) and member.operation_id not in best for member in family)
    ]


def _is_old(operation: Operation, cutoff: datetime) -> bool:
    return operation.status.is_terminal and _ended_at(operation) < cutoff


def _ended_at(operation: Operation) -> datetime:
    return operation.completed_at or operation.updated_at


def _best(every: Iterable[Operation], count: int) -> list[Operation]:
    """Of each strategy, symbols and timeframe the completed trainings with the least validation loss."""
    rivals: defaultdict[tuple[object, ...], list[tuple[float, Operation]]] = defaultdict(list)
    for operation in every:
        metadata, loss = operation.metadata, operation.metadata.get("best_val_loss")
        if not has_model(operation):
            continue
        if isinstance(loss, int | float) and math.isfinite(loss):
            group = (metadata["strategy"], *sorted(metadata["symbols"]), *metadata["timeframes"])
            rivals[group].append((loss, operation))
    ranked = (sorted(group, key=lambda rival: rival[0])[:count] for group in rivals.values())
    return [operation for group in ranked for _, operation in group]


def _families(every: Sequence[Operation]) -> list[_Family]:
    """Those that descend from one another, children before their parents."""
    families: dict[str, list[Operation]] = {}
    # A parent is older than its children, so it has its family already.
    for operation in sorted(every, key=lambda operation: (operation.created_at, operation.operation_id)):
        family = families.get(operation.parent_id or "", [])
        family.insert(0, operation)
        families[operation.operation_id] = family
    return list({id(family): family for family in families.values()}.values())


def _size_bytes(folder: Path) -> int:
    size_bytes = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                size_bytes += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue
    return size_bytes


def _told(operation: Operation, size_bytes: int) -> PrunedOperation:
    return PrunedOperation(
        operation_id=operation.operation_id,
        operation_type=operation.operation_type,
        status=operation.status.value,
        completed_at=_ended_at(operation),
        size_bytes=size_bytes,
    )
