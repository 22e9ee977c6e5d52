"""ResultService: what operations came to, as it is served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ktrdr.errors import StorageError
from ktrdr.operations.operation import Operation
from ktrdr.operations.service import OperationsService
from ktrdr.payloads.reading import AnyResults, parse_results
from ktrdr.payloads.results import OtherResults
from ktrdr.payloads.training import EvaluatedResults
from ktrdr.saved_models.unsealed import with_opening


class ResultService:
    """Results as the models that they are, with the paths that their files have in this home."""

    def __init__(self, operations: OperationsService, *, home: Path) -> None:
        self._operations = operations
        self._home = home

    async def get(self, operation_id: str) -> AnyResults:
        """Raises OperationNotFound, OperationNotTerminal, and StorageError when they cannot be read."""
        return self._parse(operation_id, await self._operations.get_results(operation_id))

    async def get_completed(self, operations: Sequence[Operation]) -> dict[str, AnyResults]:
        """The results of completed operations by their ids; those that cannot be read say so in their note."""
        stored = await self._operations.get_results_of(operations)
        return {each.operation_id: self._parse_or_note(each, stored) for each in operations}

    def _parse_or_note(self, operation: Operation, stored: Mapping[str, Mapping[str, Any]]) -> AnyResults:
        try:
            return self._parse(operation.operation_id, stored.get(operation.operation_id, {}))
        except StorageError as error:
            return OtherResults(note=error.detail)

    def _parse(self, operation_id: str, document: Mapping[str, Any]) -> AnyResults:
        try:
            results = parse_results(document).under(self._home)
            return with_opening(results) if isinstance(results, EvaluatedResults) else results
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(map(str, fault["loc"][1:]))  # the first names the kind of results
            raise StorageError(
                f"the results of {operation_id} are damaged: {place}: {fault['msg']}",
                hint="see what else is damaged with: ktrdr doctor",
                operation_id=operation_id,
            ) from error
