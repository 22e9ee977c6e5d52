"""ModelService: the trained models, which are the completed trainings of the registry."""

from __future__ import annotations

from typing import Any

from ktrdr.api.schemas import Model
from ktrdr.api.services.training.training_service import OPERATION_TYPE
from ktrdr.errors import NotFoundError
from ktrdr.operations.operation import Operation, OperationStatus
from ktrdr.operations.service import OperationsService


class ModelService:
    def __init__(self, operations: OperationsService) -> None:
        self._operations = operations

    async def list(self, limit: int) -> tuple[list[Model], int]:
        """The newest, and how many there are in all."""
        completed, total = await self._operations.list_operations(
            status=OperationStatus.COMPLETED, operation_type=OPERATION_TYPE, limit=limit
        )
        results = await self._operations.get_results_of(completed)
        return [_model(operation, results.get(operation.operation_id, {})) for operation in completed], total

    async def get(self, operation_id: str) -> Model:
        """Raises NotFoundError when there is no such operation, or no model of it."""
        operation = await self._operations.get_operation(operation_id)
        if operation.operation_type != OPERATION_TYPE or operation.status is not OperationStatus.COMPLETED:
            raise NotFoundError(
                f"operation {operation_id} is {operation.status} ({operation.operation_type}); it has no model",
                hint="list models with: ktrdr models list",
            )
        return _model(operation, await self._operations.get_results(operation_id))


def _model(operation: Operation, results: dict[str, Any]) -> Model:
    metadata = operation.metadata
    return Model(
        operation_id=operation.operation_id,
        created_at=operation.created_at,
        strategy=metadata["strategy"],
        symbols=metadata["symbols"],
        timeframes=metadata["timeframes"],
        model_type=metadata["model_type"],
        results=results,
    )
