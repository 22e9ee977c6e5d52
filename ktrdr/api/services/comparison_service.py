"""ComparisonService: sets trained models side by side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from ktrdr.api.services.result_service import ResultService
from ktrdr.errors import InputError, NotFoundError
from ktrdr.jobs.kinds import job_of
from ktrdr.jobs.strategies import strategy_of
from ktrdr.operations.operation import Operation
from ktrdr.operations.service import OperationsService
from ktrdr.payloads.comparison import Comparison
from ktrdr.payloads.jobs import FoldsJob, TrainingJob
from ktrdr.payloads.training import EvaluatedResults, FoldsResults
from ktrdr.saved_models.unsealed import unsealed_folder
from ktrdr.strategy.settings import settings_by_path
from ktrdr.training.files import CARD

if TYPE_CHECKING:
    from ktrdr.evaluation.evaluated_rows import EvaluatedRows
    from ktrdr.experiments.comparison import ComparedModel, PartName

_CARD_INPUTS = ("data_sha256", "libraries", "code", "device")
_NOT_COMPARED = frozenset({"name", "description"})


class ComparisonService:
    def __init__(self, operations: OperationsService, results: ResultService, *, models: Path) -> None:
        self._operations = operations
        self._results = results
        self._models = models

    async def compare(self, operation_ids: Sequence[str]) -> Comparison:
        """Compare these models, or the folds of one alone.

        Raises InputError for a repeated id, or one without folds alone; NotFoundError for what is no training, and
        StorageError.
        """
        if len(set(operation_ids)) < len(operation_ids):
            raise InputError("a model cannot be compared with itself", hint="name each operation once")
        if len(operation_ids) == 1:
            operation_ids = await self._folds_of(operation_ids[0])
        operations = [await self._operations.get_operation(each) for each in operation_ids]
        results = [await self._results_of(each) for each in operations]
        return await asyncio.to_thread(self._compare, operations, results)

    async def _folds_of(self, operation_id: str) -> list[str]:
        """The operations of its folds. Raises InputError for a training without."""
        results = await self._results_of(await self._operations.get_operation(operation_id))
        if not isinstance(results, FoldsResults):
            raise InputError(
                f"one model alone is compared with nothing, and {operation_id} has no folds",
                hint="name two models or more, or a training in folds",
            )
        return [fold.operation_id for fold in results.folds]

    async def _results_of(self, operation: Operation) -> EvaluatedResults | None:
        if not isinstance(job_of(operation), TrainingJob | FoldsJob):
            raise NotFoundError(
                f"operation {operation.operation_id} is no training ({operation.operation_type})",
                hint="list models with: ktrdr models list",
            )
        if not operation.status.is_terminal:
            return None
        results = await self._results.get(operation.operation_id)
        return results if isinstance(results, EvaluatedResults) else None

    def _compare(self, operations: Sequence[Operation], results: Sequence[EvaluatedResults | None]) -> Comparison:
        from ktrdr.experiments.comparison import compare

        names = _distinct_names(operations)
        return compare([self._model(*each) for each in zip(operations, results, names, strict=True)])

    def _model(self, operation: Operation, results: EvaluatedResults | None, name: str) -> ComparedModel:
        from ktrdr.experiments.comparison import ComparedModel

        job = job_of(operation)
        assert isinstance(job, TrainingJob | FoldsJob)
        strategy = strategy_of(job)
        settings = {key: value for key, value in strategy.model_dump(mode="json").items() if key not in _NOT_COMPARED}
        folders = self._folders(operation, results)
        inputs: dict[str, JsonValue] = {
            **settings,
            "symbols": list(job.symbols),
            "start_date": job.start.isoformat() if job.start else None,
            "end_date": job.end.isoformat() if job.end else None,
            "fold": job.fold + 1 if isinstance(job, TrainingJob) and job.folds > 1 else None,
            **(_read_card(folders[-1]) if folders else {}),
        }
        return ComparedModel(
            operation.operation_id, name, dict(settings_by_path(inputs)), strategy.timeframes[0], _read_rows(folders)
        )

    def _folders(self, operation: Operation, results: EvaluatedResults | None) -> list[Path]:
        """Where its model lies, or those of all its folds in their order."""
        if isinstance(results, FoldsResults):
            return [self._models / fold.operation_id for fold in results.folds]
        return [self._models / operation.operation_id] if results else []


def _distinct_names(operations: Sequence[Operation]) -> list[str]:
    """The name of each strategy, with its fold; where two are alike, with the end of the operation's id."""
    names = [_name(operation) for operation in operations]
    return [
        f"{name} {operation.operation_id.rpartition('_')[2]}" if names.count(name) > 1 else name
        for name, operation in zip(names, operations, strict=True)
    ]


def _name(operation: Operation) -> str:
    fold = operation.metadata.get("fold")
    return f"{operation.metadata['strategy']} fold {fold}" if fold else str(operation.metadata["strategy"])


def _read_card(folder: Path) -> dict[str, Any]:
    """What else went into a model; nothing where its card is gone."""
    try:
        card = json.loads((folder / CARD).read_bytes())
        return {name: card[name] for name in _CARD_INPUTS if name in card}
    except (OSError, ValueError, TypeError):
        return {}


def _read_rows(folders: Sequence[Path]) -> dict[PartName, EvaluatedRows]:
    """The rows of all folds together; the test part is the last fold's. Raises StorageError."""
    from ktrdr.evaluation.evaluated_rows import join_folds
    from ktrdr.saved_models.rows_file import read_rows

    validation = [read_rows(folder, "validation") for folder in folders]
    folds = [fold for fold in validation if fold is not None]
    test = _read_test_rows(folders[-1]) if folders else None
    rows: dict[PartName, EvaluatedRows] = {}
    if folds and len(folds) == len(folders):
        rows["validation"] = join_folds(folds)
    if test is not None:
        rows["test"] = test
    return rows


def _read_test_rows(folder: Path) -> EvaluatedRows | None:
    """None while they are sealed. Version 0.1.0 evaluated them at the end of the training."""
    from ktrdr.saved_models.rows_file import read_rows

    return read_rows(unsealed_folder(folder), "test") or read_rows(folder, "test")
