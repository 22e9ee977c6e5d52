"""ReferenceService: what people write for an operation, and the operation that it means."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ktrdr.errors import ConflictError, OperationNotFound, StorageError
from ktrdr.jobs.kinds import KINDS, job_of
from ktrdr.jobs.parts import TRIAL_TYPE
from ktrdr.operations.operation import Operation
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.jobs import TrainingJob
from ktrdr.payloads.references import LAST, OPERATION_ID

_WHOLE_ID = re.compile(OPERATION_ID)
_ENDING = re.compile(r"\w{1,64}", re.ASCII)
_CANDIDATES = 5
# Among so many there is one that is no fold.
_NEWEST = 100


class ReferenceService:
    """Ids as they are, any ending that only one id has, and `last`, which means no fold and no trial."""

    def __init__(self, operations: OperationsService) -> None:
        self._operations = operations

    async def operation_id(self, reference: str) -> str:
        """The id that is meant. A whole id, and what ends none, comes back unchanged.

        Raises ConflictError for the ending of several ids, OperationNotFound for the last of none, StorageError.
        """
        if _WHOLE_ID.fullmatch(reference):
            return reference
        if reference == LAST:
            newest = await self._operations.list_operations(without_types=(TRIAL_TYPE,), limit=_NEWEST)
            return _first(newest.operations, "operation", "ktrdr models train --help")
        return await self._with_ending(reference)

    async def model_id(self, reference: str) -> str:
        """As `operation_id`, but `last` is the newest operation that has a model."""
        if reference != LAST:
            return await self.operation_id(reference)
        models = await self._operations.list_operations(
            status=OperationStatus.COMPLETED, operation_type=KINDS["training"].operation_type, limit=_NEWEST
        )
        return _first(models.operations, "model", "ktrdr models train --help")

    async def operation_ids(self, references: Sequence[str]) -> list[str]:
        """As `operation_id`, of each."""
        return [await self.operation_id(each) for each in references]

    async def model_ids(self, references: Sequence[str]) -> list[str]:
        """As `model_id`, of each."""
        return [await self.model_id(each) for each in references]

    async def _with_ending(self, reference: str) -> str:
        ending = reference.lower()
        if not _ENDING.fullmatch(ending):
            return reference
        found = await self._operations.ids_ending_with(ending, limit=_CANDIDATES + 1)
        if not found or ending in found:
            return reference
        if len(found) > 1:
            more = " and more" if len(found) > _CANDIDATES else ""
            raise ConflictError(
                f"{reference!r} ends the ids of several operations: {', '.join(found[:_CANDIDATES])}{more}",
                hint="write more of the id that you mean",
                operations=found,
            )
        return found[0]


def _first(newest: Sequence[Operation], what: str, command: str) -> str:
    if not newest:
        raise OperationNotFound(f"there is no {what} yet", hint=f"make one with: {command}")
    return next((each for each in newest if not _is_fold(each)), newest[0]).operation_id


def _is_fold(operation: Operation) -> bool:
    """Whether it is one fold of a training, which somebody who says `last` means as a whole."""
    try:
        job = job_of(operation)
    except StorageError:
        return False
    return isinstance(job, TrainingJob) and job.folds > 1
