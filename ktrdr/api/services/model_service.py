"""ModelService: the trained models, which are the completed trainings of the registry."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from ktrdr.api.schemas.models import Model
from ktrdr.api.services.result_service import ResultService
from ktrdr.errors import InputError, NotFoundError, SeriesNotFound, StorageError
from ktrdr.jobs.kinds import KINDS, has_model
from ktrdr.market.store import BarStore
from ktrdr.operations.operation import Operation
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.reading import AnyResults
from ktrdr.payloads.results import ModelResults
from ktrdr.saved_models.trained_on import TrainedOn, TrainedSeries

# A second's work or so; beyond it the answer is left open.
_MOST_ROWS_COMPARED = 5_000_000


class ModelService:
    def __init__(self, operations: OperationsService, results: ResultService, store: BarStore, *, models: Path) -> None:
        self._operations = operations
        self._results = results
        self._store = store
        self._models = models

    async def list(self, limit: int) -> tuple[list[Model], int]:
        """The newest, and how many there are in all."""
        page = await self._operations.list_operations(
            status=OperationStatus.COMPLETED, operation_type=KINDS["training"].operation_type, limit=limit
        )
        results = await self._results.get_completed(page.operations)
        models = [model_of(operation, results[operation.operation_id]) for operation in page.operations]
        return models, page.total

    async def get(self, operation_id: str) -> Model:
        """Raises NotFoundError when there is no such operation, or no model of it."""
        operation = await self._operations.get_operation(operation_id)
        if not has_model(operation):
            raise NotFoundError(
                f"operation {operation_id} is {operation.status} ({operation.operation_type}); it has no model",
                hint="list models with: ktrdr models list",
            )
        return model_of(operation, await self._results.get(operation_id))

    async def get_checked(self, operation_id: str) -> Model:
        """As `get`, and whether the stored bars are still those that it was trained on."""
        model = await self.get(operation_id)
        changed = await asyncio.to_thread(self._bars_changed, self.folder(model))
        return model.model_copy(update={"bars_changed": changed})

    def folder(self, model: Model) -> Path:
        """Where its files lie; those of a training in folds are the last fold's."""
        if isinstance(model.results, ModelResults) and model.results.model_path:
            return Path(model.results.model_path).parent
        return self._models / model.operation_id

    def _bars_changed(self, folder: Path) -> bool | None:
        """None when its card is gone or says too little, bars can't be read, or there is too much to compare."""
        try:
            trained_on = TrainedOn.of(json.loads((folder / "model.json").read_bytes()))
            series = (*trained_on.series, *trained_on.others)
            if sum(each.rows for each in series) > _MOST_ROWS_COMPARED:
                return None
            return any(map(self._is_changed, series))
        except (StorageError, OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _is_changed(self, series: TrainedSeries) -> bool:
        try:
            frame = self._store.read_stored(series.symbol, series.timeframe, series.first, series.last).frame
            return series.is_changed(frame)
        except (SeriesNotFound, InputError):
            return True


def model_of(operation: Operation, results: AnyResults) -> Model:
    metadata = operation.metadata
    return Model(
        operation_id=operation.operation_id,
        created_at=operation.created_at,
        strategy=metadata["strategy"],
        symbols=metadata["symbols"],
        timeframes=metadata["timeframes"],
        model_type=metadata["model_type"],
        fold=metadata.get("fold"),
        results=results,
    )
