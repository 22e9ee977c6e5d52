"""ModelService: the trained models, which are the completed trainings of the registry."""

from __future__ import annotations

from ktrdr.api.schemas import Model
from ktrdr.api.services.training.training_service import OPERATION_TYPE
from ktrdr.errors import NotFoundError
from ktrdr.operations.operation import Operation, OperationStatus
from ktrdr.operations.service import OperationsService


class ModelService:
    def __init__(self, operations: OperationsService) -> None:
        self._operations = operations

    async def list(self, limit: int) -> list[Model]:
        completed, _ = await self._operations.list_operations(
            status=OperationStatus.COMPLETED, operation_type=OPERATION_TYPE, limit=limit
        )
        return [await self._model(operation) for operation in completed]

    async def get(self, operation_id: str) -> Model:
        """Raises NotFoundError when there is no such operation, or no model of it."""
        operation = await self._operations.get_operation(operation_id)
        if operation.operation_type != OPERATION_TYPE or operation.status is not OperationStatus.COMPLETED:
            raise NotFoundError(
                f"operation {operation_id} is {operation.status} ({operation.operation_type}); it has no model",
                hint="list models with: ktrdr models list",
            )
        return await self._model(operation)

    async def _model(self, operation: Operation) -> Model:
        metadata = operation.metadata
        return Model(
            operation_id=operation.operation_id,
            created_at=operation.created_at,
            strategy=metadata["strategy"],
            symbols=metadata["symbols"],
            timeframes=metadata["timeframes"],
            model_type=metadata["model_type"],
            results=await self._operations.get_results(operation.operation_id),
        )
