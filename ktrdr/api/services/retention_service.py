"""RetentionService: which operations are removed, when somebody asks for it."""

from __future__ import annotations

import asyncio
import math
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ktrdr.api.schemas.operations import Prune, Pruned, PrunedOperation
from ktrdr.errors import ConflictError, OperationNotFound, OperationNotTerminal, StorageError
from ktrdr.jobs.kinds import has_model, job_of
from ktrdr.jobs.parts import TRIAL_TYPE
from ktrdr.operations.operation import Operation
from ktrdr.operations.removal import Removal
from ktrdr.operations.service import OperationsService
from ktrdr.payloads.jobs import AblationJob, AnyJob, ModelJob, TrainingJob

_EVERY = 1_000_000_000

_Family = Sequence[Operation]


class RetentionService:
    """Chooses what is removed: operations by their ids, or whole families by what a request says of them.

    A family are operations that descend from one another: what was resumed, and the parts of a whole. Pruning removes
    them together or not at all.
    """

    def __init__(self, operations: OperationsService, removal: Removal) -> None:
        self._operations = operations
        self._removal = removal
        self._choosing = asyncio.Lock()

    async def prune(self, request: Prune) -> Pruned:
        """Remove what the request describes, or with `dry_run` say what that would be. Raises StorageError."""
        async with self._choosing:
            every = await self._all()
            return await self._remove(_removable(every, request), len(every), request.dry_run)

    async def remove(self, operation_ids: Sequence[str], *, dry_run: bool) -> Pruned:
        """Remove these operations with their parts, or with `dry_run` say what that would be.

        Raises OperationNotFound, OperationNotTerminal for one that has not ended, ConflictError for one that another
        operation needs which stays, and StorageError.
        """
        async with self._choosing:
            every = await self._all()
            return await self._remove([_chosen(every, operation_ids)], len(every), dry_run)

    async def _all(self) -> Sequence[Operation]:
        return (await self._operations.list_operations(limit=_EVERY)).operations

    async def _remove(self, families: Sequence[_Family], count: int, dry_run: bool) -> Pruned:
        chosen = [member for family in families for member in family]
        entries = await asyncio.to_thread(lambda: [self._entry(operation) for operation in chosen])
        leftovers: list[str] = []
        if not dry_run:
            removed = await self._removal.remove([[member.operation_id for member in family] for family in families])
            leftovers = [str(folder) for folder in removed.leftovers]
            gone = set(removed.operation_ids)
            entries = [entry for entry in entries if entry.operation_id in gone]
        return Pruned(
            dry_run=dry_run,
            operations=entries,
            size_bytes=sum(entry.size_bytes for entry in entries),
            kept=count - len(entries),
            leftovers=leftovers,
        )

    def _entry(self, operation: Operation) -> PrunedOperation:
        return PrunedOperation(
            operation_id=operation.operation_id,
            operation_type=operation.operation_type,
            status=operation.status.value,
            completed_at=_ended_at(operation),
            size_bytes=sum(_size_bytes(folder) for folder in self._removal.folders(operation.operation_id)),
            has_model=has_model(operation),
        )


def _chosen(every: Sequence[Operation], operation_ids: Sequence[str]) -> _Family:
    """These and their parts, children before their parents. Raises as `RetentionService.remove`."""
    by_id = {operation.operation_id: operation for operation in every}
    for operation_id in operation_ids:
        if operation_id not in by_id:
            hint = "list them with: ktrdr operations list"
            raise OperationNotFound(f"there is no operation {operation_id!r}", hint=hint)
    named = set(operation_ids)
    for each in sorted(every, key=_age):  # a parent is older than its parts
        if each.parent_id in named and _is_part(each):
            named.add(each.operation_id)
    chosen = [each for each in every if each.operation_id in named]
    needed = _models_in_use(every)
    for operation in chosen:
        _check_removable(operation, chosen, every, needed)
    return sorted(chosen, key=_age, reverse=True)


def _check_removable(
    operation: Operation, chosen: Sequence[Operation], every: Sequence[Operation], needed: set[str]
) -> None:
    operation_id, going = operation.operation_id, {each.operation_id for each in chosen}
    if not operation.status.is_terminal:
        raise OperationNotTerminal(
            f"operation {operation_id} is {operation.status}; only one that has ended can be removed",
            hint=f"end it first with: ktrdr operations cancel {operation_id}",
            operation_status=str(operation.status),
        )
    if operation_id in needed:
        hint = "wait until it has ended, or cancel it: ktrdr operations list"
        raise ConflictError(f"an operation that has not ended uses the model of {operation_id}", hint=hint)
    if operation.parent_id and operation.parent_id not in going and _is_part(operation):
        whole_id = operation.parent_id
        raise ConflictError(
            f"operation {operation_id} is a part of {whole_id} and goes only with it",
            hint=f"remove the whole with: ktrdr operations rm {whole_id}",
            operation_id=whole_id,
        )
    for child in every:
        if child.parent_id == operation_id and child.operation_id not in going:
            raise ConflictError(
                f"operation {operation_id} was resumed as {child.operation_id}, which is {child.status} and needs it",
                hint=f"remove both with: ktrdr operations rm {operation_id} {child.operation_id}",
                operation_id=child.operation_id,
            )


def _removable(every: Sequence[Operation], request: Prune) -> list[_Family]:
    """The families that a request describes and of which none must stay."""
    stay = {operation.operation_id for operation in _best(every, request.keep_best)} | _models_in_use(every)
    cutoff = datetime.now(UTC) - timedelta(days=request.older_than_days or 0)
    matching = [
        family
        for family in _families(every)
        if all(member.status.is_terminal and member.operation_id not in stay for member in family)
        and all(_is_part(member) or _matches(member, request, cutoff) for member in family)
    ]
    newest_last = sorted(matching, key=lambda family: _age(family[0]))
    return newest_last[: len(newest_last) - request.keep_last] if request.keep_last else matching


def _matches(operation: Operation, request: Prune, cutoff: datetime) -> bool:
    return (
        _ended_at(operation) < cutoff
        and request.status in (None, operation.status.value)
        and request.type in (None, operation.operation_type)
        and request.strategy in (None, operation.metadata.get("strategy"))
    )


def _ended_at(operation: Operation) -> datetime:
    return operation.completed_at or operation.updated_at


def _age(operation: Operation) -> tuple[datetime, str]:
    return operation.created_at, operation.operation_id


def _is_part(operation: Operation) -> bool:
    """Whether it is a part of its parent, rather than its continuation."""
    job = _job(operation) if operation.parent_id else None
    return job is not None and job.part is not None


def _models_in_use(every: Iterable[Operation]) -> set[str]:
    """Operations whose models unfinished operations work with."""
    jobs = [_job(operation) for operation in every if not operation.status.is_terminal]
    used = {name for job in jobs if isinstance(job, ModelJob | AblationJob) for name in (job.model, job.folder)}
    return used | {job.reproduces for job in jobs if isinstance(job, TrainingJob) and job.reproduces}


def _job(operation: Operation) -> AnyJob | None:
    try:
        return job_of(operation)
    except StorageError:
        return None


def _best(every: Iterable[Operation], count: int) -> list[Operation]:
    """Of each strategy, symbols and timeframe the completed trainings with the least validation loss."""
    rivals: defaultdict[tuple[object, ...], list[tuple[float, Operation]]] = defaultdict(list)
    for operation in every:
        metadata, loss = operation.metadata, operation.metadata.get("best_val_loss")
        if not has_model(operation) or operation.operation_type == TRIAL_TYPE:
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
    for operation in sorted(every, key=_age):
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
