"""The files of a trained model: weights, card and metrics; and the way back from them to a module."""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor, nn

from ktrdr.errors import ArtifactNotFound, StorageError
from ktrdr.training.files import write_file
from ktrdr.training.loop import EpochMetrics, predict
from ktrdr.training.models.families import build_model
from ktrdr.training.windows import view_of_windows

if TYPE_CHECKING:
    from ktrdr.features.matrix import Dataset, Scaler
    from ktrdr.strategy.spec import Strategy
    from ktrdr.training.fingerprint import Fingerprint
    from ktrdr.training.run import TrainingRequest

FORMAT = 2
CARD = "model.json"
WEIGHTS = "model.safetensors"
METRICS = "metrics.parquet"
STRATEGY = "strategy.yaml"
PLOT = "metrics.png"
SUMMARY = "summary.txt"


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model as it was saved, with all that prediction needs."""

    module: nn.Module
    strategy: Strategy
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    scaler: Scaler
    sequence_length: int

    def logits(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """[rows, features], not yet scaled → [rows - sequence_length + 1, classes]: one row for each whole window."""
        scaled = torch.from_numpy(self.scaler.transform(values))
        windows = view_of_windows(scaled, self.sequence_length)
        return predict(self.module, windows, torch.arange(len(windows))).numpy()


def libraries() -> dict[str, str]:
    """Versions of what decides the bits of a training."""
    installed = {name: version(name) for name in ("ktrdr", "torch", "numpy", "polars", "TA-Lib")}
    return installed | {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}


def model_card(
    request: TrainingRequest,
    dataset: Dataset,
    fingerprint: Fingerprint,
    providers: Mapping[str, str],
    results: Mapping[str, Any],
) -> dict[str, Any]:
    """Enough to predict with the weights beside it, and to train the same weights again."""
    training = request.strategy.training
    return {
        "format": FORMAT,
        "operation_id": request.operation_id,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "libraries": libraries(),
        "seed": training.seed,
        "threads": training.threads,
        "strategy_name": request.strategy_name,
        "strategy": fingerprint.strategy,
        "strategy_text": request.strategy_text,
        "symbols": list(request.symbols),
        "timeframe": request.timeframe,
        "start": request.start.isoformat() if request.start else None,
        "end": request.end.isoformat() if request.end else None,
        "data_sha256": fingerprint.data,
        "data_providers": dict(providers),
        "feature_names": list(dataset.feature_names),
        "class_names": list(dataset.class_names),
        "labels": fingerprint.strategy["labels"],
        "sequence_length": dataset.sequence_length,
        "scaler": dataset.scaler.to_dict(),
        "results": dict(results),
    }


def write_model(folder: Path, weights: dict[str, Tensor], card: dict[str, Any]) -> None:
    write_file(folder / WEIGHTS, save(weights))
    write_file(folder / CARD, json.dumps(card, indent=2, allow_nan=False).encode())


def write_metrics(folder: Path, history: Sequence[EpochMetrics]) -> None:
    import polars as pl

    buffer = io.BytesIO()
    table = pl.DataFrame([asdict(metrics) for metrics in history])
    instants = (pl.col("ended_at") * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
    table.with_columns(instants).write_parquet(buffer)
    write_file(folder / METRICS, buffer.getvalue())


def load_model(folder: Path) -> TrainedModel:
    """The model that a training left in `folder`; its logits are the training's own, bit for bit.

    Raises:
        ArtifactNotFound: there is no model in `folder`.
        StorageError: its files are damaged or of another format.
    """
    from ktrdr.features.matrix import Scaler
    from ktrdr.strategy.spec import Strategy

    try:
        card = json.loads((folder / CARD).read_bytes())
        weights = load((folder / WEIGHTS).read_bytes())
        if card["format"] != FORMAT:
            raise StorageError(f"{folder / CARD} is of format {card['format']}; this version reads format {FORMAT}")
        strategy = Strategy.model_validate_json(json.dumps(card["strategy"]))
        module = build_model(strategy.model, len(card["feature_names"]), len(card["class_names"]))
        module.load_state_dict(weights)
        return TrainedModel(
            module.eval(),
            strategy,
            tuple(card["feature_names"]),
            tuple(card["class_names"]),
            Scaler.from_dict(card["scaler"]),
            card["sequence_length"],
        )
    except FileNotFoundError as error:
        raise ArtifactNotFound(f"there is no model in {folder}", path=str(folder)) from error
    except (ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        raise StorageError(f"the model in {folder} cannot be read: {error}", path=str(folder)) from error
