"""The files of a trained model: weights, card and metrics; and the way back from them to a module."""

from __future__ import annotations

import hashlib
import io
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor, nn

from ktrdr.errors import ArtifactNotFound, InputError, StorageError
from ktrdr.market.series_file import ends
from ktrdr.training.device import device_of
from ktrdr.training.files import CARD, METRICS, PREDICTIONS, SUMMARY, write_file
from ktrdr.training.loop import EpochMetrics
from ktrdr.training.models.families import build_model
from ktrdr.training.models.model import predict
from ktrdr.training.windows import view_of_windows

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.features.columns import SymbolBars
    from ktrdr.features.matrix import Dataset
    from ktrdr.features.scaling import Scaler
    from ktrdr.strategy.spec import Strategy
    from ktrdr.training.fingerprint import Fingerprint
    from ktrdr.training.run import TrainingRequest

FORMAT = 3
WEIGHTS = "model.safetensors"
STRATEGY = "strategy.yaml"
PLOT = "metrics.png"
EQUITY = "equity.png"

_LIBRARIES = ("ktrdr", "torch", "numpy", "scipy", "scikit-learn", "lightgbm", "polars", "TA-Lib", "exchange-calendars")
_ROOMS = ("market", "strategy", "features", "training")


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model as it was saved, with all that prediction needs.

    `symbols` are those of the training, each with the number that its first window had there.
    """

    module: nn.Module
    strategy: Strategy
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    scaler: Scaler
    sequence_length: int
    target_scale: float
    start: date | None
    symbols: Mapping[str, int]
    device: torch.device

    def outputs(self, values: NDArray[np.float64], symbol: str = "", first: int = 0) -> NDArray[np.float32]:
        """[rows, features], not yet scaled → [rows - sequence_length + 1, outputs]: one row for each whole window.

        For the bits of the training `first` must be the number of the first window among those of the symbol.
        """
        scaled = torch.from_numpy(self.scaler.transform(values)).to(self.device)
        windows = view_of_windows(scaled, self.sequence_length)
        starts = torch.arange(len(windows), device=self.device)
        found: NDArray[np.float32] = predict(self.module, windows, starts, self.symbols.get(symbol, 0) + first).numpy()
        return found


def libraries() -> dict[str, str]:
    """Versions of what decides the bits of a training."""
    installed = {name: version(name) for name in _LIBRARIES}
    return installed | {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}


def code_version() -> dict[str, str]:
    """The package's version, and a hash of the code between bars and weights, which says more while it is changed."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(path for room in _ROOMS for path in (package / room).rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return {"version": version("ktrdr"), "sha256": digest.hexdigest()}


def model_card(
    request: TrainingRequest,
    dataset: Dataset,
    fingerprint: Fingerprint,
    providers: Mapping[str, Any],
    results: Mapping[str, Any],
    *,
    bars: Mapping[str, SymbolBars],
    device: str,
) -> dict[str, Any]:
    """Enough to predict with the weights beside it, and to train the same weights again."""
    training = request.strategy.training
    return {
        "format": FORMAT,
        "operation_id": request.operation_id,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": code_version(),
        "libraries": libraries(),
        "device": device,
        "seed": training.seed,
        "threads": training.threads,
        "strategy_name": request.strategy_name,
        "strategy": fingerprint.strategy,
        "strategy_text": request.strategy_text,
        "symbols": list(request.symbols),
        "first_windows": _first_windows(dataset),
        "timeframes": list(request.strategy.timeframes),
        "fold": request.fold,
        "start": request.start.isoformat() if request.start else None,
        "end": request.end.isoformat() if request.end else None,
        "data_sha256": fingerprint.data,
        "data_ranges": {symbol: {name: _range(frame) for name, frame in own.items()} for symbol, own in bars.items()},
        "data_providers": dict(providers),
        "feature_names": list(dataset.feature_names),
        "class_names": list(dataset.class_names),
        "labels": fingerprint.strategy["labels"],
        "sequence_length": dataset.sequence_length,
        "scaler": dataset.scaler.to_dict(),
        "cuts": dataset.cuts.to_dict() if dataset.cuts else None,
        "target_scale": dataset.target_scale,
        "results": dict(results),
    }


def _first_windows(dataset: Dataset) -> dict[str, int]:
    """Where each symbol's rows begin in `Dataset.values`."""
    kept = [coverage.bars - coverage.warmup_rows for coverage in dataset.coverage]
    return dict(zip(dataset.symbols, np.cumsum([0, *kept]).tolist(), strict=False))


def _range(frame: pl.DataFrame) -> dict[str, Any]:
    first, last = ends(frame)
    return {"rows": len(frame), "first": first.isoformat(), "last": last.isoformat()}


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


def write_predictions(folder: Path, dataset: Dataset, outputs: Mapping[str, NDArray[np.float32]]) -> None:
    """One row for each sample of the parts that `outputs` names, with what the model gave for it.

    In a classification `label` and `predicted` are classes, beside the probability of each; in a regression both are
    in units of the label.
    """
    import polars as pl

    from ktrdr.training.predict import columns_of

    tables = [
        pl.DataFrame(
            {
                "timestamp": pl.Series(part.timestamps).dt.replace_time_zone("UTC"),
                "symbol": np.array(dataset.symbols)[part.symbols],
                "part": name,
                "label": part.measures if dataset.is_regression else np.array(dataset.class_names)[part.labels],
                **columns_of(given, dataset.class_names, dataset.target_scale),
            }
        )
        for name, given in outputs.items()
        for part in [getattr(dataset, name)]
    ]
    buffer = io.BytesIO()
    pl.concat(tables).write_parquet(buffer)
    write_file(folder / PREDICTIONS, buffer.getvalue())


def paths(folder: Path) -> dict[str, str]:
    """Where each artifact of a training lies, by the name that the API knows it by."""
    names = {
        "metrics_plot": PLOT,
        "equity_plot": EQUITY,
        "model_summary": SUMMARY,
        "model_card": CARD,
        "metrics_table": METRICS,
        "predictions": PREDICTIONS,
        "strategy": STRATEGY,
    }
    return {name: str(folder / file) for name, file in names.items()}


def load_model(folder: Path) -> TrainedModel:
    """The model that a training left in `folder`, on the device that it was trained on, or else on the CPU.

    Raises:
        ArtifactNotFound: there is no model in `folder`.
        StorageError: its files are damaged or of another format.
    """
    from ktrdr.features.scaling import Scaler
    from ktrdr.strategy.spec import Strategy

    try:
        card = json.loads((folder / CARD).read_bytes())
        weights = load((folder / WEIGHTS).read_bytes())
        if card["format"] != FORMAT:
            raise StorageError(f"{folder / CARD} is of format {card['format']}; this version reads format {FORMAT}")
        strategy = Strategy.model_validate_json(json.dumps(card["strategy"]))
        module = build_model(strategy.model, len(card["feature_names"]), len(card["class_names"]) or 1)
        module.load_state_dict(weights)
        device = _device(card["device"])
        return TrainedModel(
            module.to(device).eval(),
            strategy,
            tuple(card["feature_names"]),
            tuple(card["class_names"]),
            Scaler.from_dict(card["scaler"]),
            card["sequence_length"],
            card["target_scale"],
            date.fromisoformat(card["start"]) if card["start"] else None,
            card["first_windows"],
            device,
        )
    except FileNotFoundError as error:
        raise ArtifactNotFound(f"there is no model in {folder}", path=str(folder)) from error
    except (ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        raise StorageError(f"the model in {folder} cannot be read: {error}", path=str(folder)) from error


def _device(name: str) -> torch.device:
    """That of the training, without which the bits are others; where it isn't there, the CPU."""
    try:
        return device_of(torch.device(name).type)
    except InputError:
        return torch.device("cpu")
