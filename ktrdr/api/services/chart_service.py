"""ChartService: bars with what a training sees in them, and curves of metrics, both as columns ready to be drawn."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from ktrdr.api.services.result_service import ResultService
from ktrdr.errors import ArtifactNotFound, CursorError, InputError, OperationNotFound
from ktrdr.features.feature import Scale
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.labels.label import Cuts
from ktrdr.features.labels.types import label_of
from ktrdr.jobs.kinds import job_of
from ktrdr.jobs.strategies import strategy_of
from ktrdr.market.bars import check_symbol
from ktrdr.market.store import BarStore
from ktrdr.operations.operation import Operation
from ktrdr.operations.service import OperationsService
from ktrdr.payloads.jobs import StrategyOnBars
from ktrdr.payloads.results import ModelResults, Results
from ktrdr.saved_models.unsealed import unsealed_folder
from ktrdr.strategy.sections.base import PluginLabel
from ktrdr.strategy.sections.indicators import PluginFeature
from ktrdr.strategy.spec import Strategy
from ktrdr.timeframe import Timeframe
from ktrdr.training.files import PREDICTIONS

if TYPE_CHECKING:
    import polars as pl

_CURVES_KEPT = 1024
_TALIB = IndicatorCatalogue()
_PRICES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class _Training:
    """What a training adds to a chart; `cuts` are there once it has ended."""

    strategy: Strategy
    cuts: Cuts | None
    predictions: Path | None


@dataclass(slots=True)
class _Curve:
    """A column of one operation's metrics, as far as it has been read."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    cursor: int = 0
    is_complete: bool = False

    def add(self, metrics: Sequence[Mapping[str, Any]], column: str) -> None:
        for number, metric in enumerate(metrics, start=self.cursor + 1):
            value = metric.get(column)
            if isinstance(value, int | float):
                self.steps.append(int(metric.get("epoch") or number))
                self.values.append(float(value))
        self.cursor += len(metrics)

    def thinned(self, points: int) -> dict[str, list[float]]:
        chosen = np.unique(np.linspace(0, len(self.values) - 1, min(points, len(self.values))).round().astype(int))
        return {"steps": [self.steps[each] for each in chosen], "values": [self.values[each] for each in chosen]}


class ChartService:
    def __init__(self, operations: OperationsService, results: ResultService, store: BarStore) -> None:
        self._operations = operations
        self._results = results
        self._store = store
        self._curves: LRUCache[tuple[str, str], _Curve] = LRUCache(_CURVES_KEPT)

    async def read(
        self, symbol: str, timeframe: str, before: datetime | None, limit: int, training_id: str | None
    ) -> dict[str, Any]:
        """The last `limit` bars that opened before `before`.

        Raises InputError, SeriesNotFound, OperationNotFound, StorageError.
        """
        symbol, timeframe = check_symbol(symbol), Timeframe.parse(timeframe)
        operation = await self._operations.get_operation(training_id) if training_id else None
        results = await self._results.get(operation.operation_id) if operation and _has_ended(operation) else None
        return await asyncio.to_thread(self._read, symbol, timeframe, before, limit, operation, results)

    def _read(
        self,
        symbol: str,
        timeframe: str,
        before: datetime | None,
        limit: int,
        operation: Operation | None,
        results: Results | None,
    ) -> dict[str, Any]:
        training = self._training(operation, results) if operation else None
        frame = self._store.read(symbol, timeframe)
        end = frame.height if before is None else int(frame["timestamp"].search_sorted(before, side="left"))
        rows = slice(max(0, end - limit), end)
        shown = frame.slice(rows.start, rows.stop - rows.start)
        return {
            "symbol": symbol,
            "timeframe": timeframe,
            "total": frame.height,
            "first_row": rows.start,
            "time": shown["timestamp"].dt.epoch("s").to_list(),
            **{column: shown[column].to_list() for column in _PRICES},
            "indicators": self._indicators(training.strategy, timeframe, frame, rows) if training else [],
            "labels": _labels(training, timeframe, frame, rows) if training else None,
            "predictions": _predictions(training, symbol, timeframe, shown) if training else None,
        }

    def _training(self, operation: Operation, results: Results | None) -> _Training:
        job = job_of(operation)
        if not isinstance(job, StrategyOnBars):
            raise InputError(f"operation {operation.operation_id} ({operation.operation_type}) has no strategy to draw")
        strategy = strategy_of(job)
        if not isinstance(results, ModelResults) or not results.model_path:
            return _Training(strategy, None, None)
        predictions = results.artifacts.get("predictions")
        return _Training(strategy, _cuts(Path(results.model_path).parent), Path(predictions) if predictions else None)

    def _indicators(self, strategy: Strategy, timeframe: str, frame: pl.DataFrame, rows: slice) -> list[dict[str, Any]]:
        """Of the whole series, since some remember where they began; TA-Lib's own values, as chartists know them.

        A server runs no plugins, so a chart shows none.
        """
        drawn: list[dict[str, Any]] = []
        for indicator in strategy.indicators:
            if isinstance(indicator, PluginFeature) or indicator.symbol:
                continue
            if timeframe not in indicator.timeframes_in([Timeframe(timeframe)]):
                continue
            features, columns = _TALIB.features(indicator), _TALIB.compute(indicator, frame)
            drawn += [
                {
                    "name": feature.name,
                    "group": features[0].name,
                    "on_price": feature.scale is Scale.LEVEL,
                    "values": _rounded(columns[feature.name][rows]),
                }
                for feature in features
            ]
        return drawn

    async def curves(self, operation_ids: Sequence[str], column: str, points: int) -> dict[str, dict[str, list[float]]]:
        """Of each operation that exists and has such a column, at most `points` values and the steps they belong to."""
        found = {each: await self._curve(each, column) for each in dict.fromkeys(operation_ids)}
        return {each: curve.thinned(points) for each, curve in found.items() if curve and curve.values}

    async def _curve(self, operation_id: str, column: str) -> _Curve | None:
        key = (operation_id, column)
        curve = self._curves.setdefault(key, _Curve())
        if curve.is_complete:
            return curve
        try:
            operation = await self._operations.get_operation(operation_id)
            metrics, _ = await self._operations.get_metrics(operation_id, curve.cursor)
        except (OperationNotFound, CursorError):
            self._curves.pop(key, None)
            return None
        curve.add(metrics, column)
        curve.is_complete = _has_ended(operation)
        return curve


def _has_ended(operation: Operation) -> bool:
    return operation.status.is_terminal


def _cuts(folder: Path) -> Cuts | None:
    try:
        card = json.loads((folder / "model.json").read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ArtifactNotFound(f"the card of the model in {folder} cannot be read: {error}") from error
    return Cuts.from_dict(card["cuts"]) if card.get("cuts") else None


def _labels(training: _Training, timeframe: str, frame: pl.DataFrame, rows: slice) -> dict[str, Any] | None:
    """Classes of the bars that samples end on; they are known as soon as the training part's borders are."""
    strategy = training.strategy
    if training.cuts is None or timeframe != strategy.timeframes[0] or isinstance(strategy.labels, PluginLabel):
        return None
    label = label_of(strategy.labels)
    found = label.measure(strategy.labels, frame)
    values, known = found.values[rows], found.known[rows]
    classes = training.cuts.classify(np.where(known, values, 0.0))
    return {
        "class_names": list(label.class_names(strategy.labels)),
        "classes": [int(each) if is_known else None for each, is_known in zip(classes, known, strict=True)],
    }


def _predictions(training: _Training, symbol: str, timeframe: str, shown: pl.DataFrame) -> dict[str, Any] | None:
    """What the model said of the samples that it was evaluated on, those that lie among the bars shown."""
    import polars as pl

    path = training.predictions
    if path is None or timeframe != training.strategy.timeframes[0] or shown.is_empty() or not path.is_file():
        return None
    between = pl.col("timestamp").is_between(shown["timestamp"][0], shown["timestamp"][-1])
    files = [each for each in (path, unsealed_folder(path.parent) / PREDICTIONS) if each.is_file()]
    table = pl.scan_parquet(files).filter(between & (pl.col("symbol") == symbol)).sort("timestamp").collect()
    probabilities = [name for name in table.columns if name.startswith("probability")]
    confidence = table.select(pl.max_horizontal(probabilities)).to_series().to_list() if probabilities else None
    return {
        "time": table["timestamp"].dt.epoch("s").to_list(),
        "part": table["part"].to_list(),
        "label": table["label"].to_list(),
        "predicted": table["predicted"].to_list(),
        "confidence": confidence,
    }


def _rounded(values: NDArray[np.float64]) -> list[float | None]:
    """Seven digits are more than a chart shows."""
    import polars as pl

    return pl.Series(values, nan_to_null=True).round_sig_figs(7).to_list()
