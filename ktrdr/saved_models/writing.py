"""Writes the files of a trained model: weights, card, metrics and predictions."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json
from safetensors.torch import save
from torch import Tensor

from ktrdr.errors import StorageError
from ktrdr.evaluation.outputs import prediction_columns
from ktrdr.market.series_file import ends
from ktrdr.plugins.loading import used_plugins
from ktrdr.saved_models.provenance import code_version, libraries
from ktrdr.training.files import CARD, FORMAT, METRICS, PREDICTIONS, WEIGHTS, write_file
from ktrdr.training.observer import EpochMetrics

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.market.symbol_bars import SymbolBars
    from ktrdr.payloads.preflight import PartName
    from ktrdr.payloads.training import TrainingResults
    from ktrdr.training.fingerprint import Fingerprint
    from ktrdr.training.request import TrainingRequest

# Facts that are known only later, and paths.
_NOT_IN_CARD = {"reproduction", "restored_epochs", "phases_seconds", "model_path", "artifacts"}


def model_card(
    request: TrainingRequest,
    dataset: Dataset,
    fingerprint: Fingerprint,
    providers: Mapping[str, Any],
    results: TrainingResults,
    *,
    bars: Mapping[str, SymbolBars],
    device: str,
    class_weights: Sequence[float] | None = None,
) -> dict[str, Any]:
    """The content of model.json: enough to predict with the weights, and to train the same weights again."""
    training = request.strategy.training
    return {
        "format": FORMAT,
        "operation_id": request.operation_id,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": dict(code_version()),
        "libraries": dict(libraries()),
        "device": device,
        "seed": training.seed,
        "threads": training.threads,
        "strategy_name": request.strategy_name,
        "strategy": fingerprint.strategy,
        "strategy_text": request.strategy_text,
        "symbols": list(request.symbols),
        "first_windows": _first_windows(dataset),
        "left_out": [each.to_dict() for each in dataset.left_out],
        "timeframes": list(request.strategy.timeframes),
        "fold": request.fold,
        "start": request.start.isoformat() if request.start else None,
        "end": request.end.isoformat() if request.end else None,
        "data_sha256": fingerprint.data,
        "data_ranges": {symbol: {name: _range(frame) for name, frame in own.items()} for symbol, own in bars.items()},
        "data_providers": dict(providers),
        "other_sha256": fingerprint.others,
        "other_series": _other_series(bars),
        "feature_names": list(dataset.feature_names),
        "class_names": list(dataset.class_names),
        "class_weights": class_weights,
        "labels": fingerprint.strategy["labels"],
        "plugins": used_plugins(request.strategy.plugins).model_dump(mode="json"),
        "sequence_length": dataset.sequence_length,
        "scaler": dataset.scaler.to_dict(),
        "cuts": dataset.cuts.to_dict() if dataset.cuts else None,
        "target_scale": dataset.target_scale,
        "results": results.model_dump(mode="json", exclude=_NOT_IN_CARD),
    }


def _first_windows(dataset: Dataset) -> dict[str, int]:
    """The first row of each symbol in `Dataset.values`."""
    kept = [coverage.bars - coverage.warmup_rows for coverage in dataset.coverage]
    return dict(zip(dataset.symbols, np.cumsum([0, *kept]).tolist(), strict=False))


def _other_series(bars: Mapping[str, SymbolBars]) -> dict[str, dict[str, Any]]:
    """Bars of other symbols, by symbol and timeframe."""
    series: dict[str, dict[str, Any]] = {}
    for key, each in next(iter(bars.values())).others.bars.items():
        if len(each.frame):
            about = _range(each.frame) | {"provider": each.provider, "calendar": each.clock.calendar.name}
            series.setdefault(key.symbol, {})[key.timeframe] = about
    return series


def _range(frame: pl.DataFrame) -> dict[str, Any]:
    first, last = ends(frame)
    return {"rows": len(frame), "first": first.isoformat(), "last": last.isoformat()}


def write_model(folder: Path, weights: dict[str, Tensor], card: dict[str, Any]) -> None:
    write_file(folder / WEIGHTS, save(weights))
    write_file(folder / CARD, to_json(card, indent=2, inf_nan_mode="null") + b"\n")


def write_metrics(folder: Path, history: Sequence[EpochMetrics]) -> None:
    import polars as pl

    buffer = io.BytesIO()
    table = pl.DataFrame([asdict(metrics) for metrics in history])
    instants = (pl.col("ended_at") * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
    table.with_columns(instants).write_parquet(buffer)
    write_file(folder / METRICS, buffer.getvalue())


def read_metrics(folder: Path) -> tuple[EpochMetrics, ...]:
    """The finished epochs. Raises StorageError."""
    import polars as pl

    try:
        table = pl.read_parquet(folder / METRICS).with_columns(pl.col("ended_at").dt.epoch("us") / 1e6)
        return tuple(EpochMetrics(**row) for row in table.iter_rows(named=True))
    except (OSError, TypeError, pl.exceptions.PolarsError) as error:
        raise StorageError(f"{folder / METRICS} cannot be read: {error}", hint="train again") from error


def write_predictions(
    folder: Path,
    dataset: Dataset,
    name: PartName,
    outputs: NDArray[np.float32],
    class_weights: Sequence[float] | None = None,
) -> None:
    """Write one row for each sample of the part `name`; `outputs` are [samples, outputs].

    In a classification `label` and `predicted` are classes, with the probability of each class, the training's
    `class_weights` [classes] taken out. In a regression both are in units of the label.
    """
    import polars as pl

    part: Part = getattr(dataset, name)
    table = pl.DataFrame(
        {
            "timestamp": pl.Series(part.timestamps).dt.replace_time_zone("UTC"),
            "symbol": np.array(dataset.symbols)[part.symbols],
            "part": pl.Series([name] * len(part.labels)),
            "label": part.measures if dataset.is_regression else np.array(dataset.class_names)[part.labels],
            **prediction_columns(outputs, dataset.class_names, dataset.target_scale, class_weights),
        }
    )
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    write_file(folder / PREDICTIONS, buffer.getvalue())
