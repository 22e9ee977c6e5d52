"""Loads a saved model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import nn

from ktrdr.errors import ArtifactNotFound, InputError, StorageError
from ktrdr.saved_models.class_weights import ClassWeights
from ktrdr.saved_models.trained_on import TrainedOn
from ktrdr.training.architectures.model import predict
from ktrdr.training.device import choose_device
from ktrdr.training.families import build_model
from ktrdr.training.files import CARD, FORMAT, WEIGHTS
from ktrdr.training.windows import view_of_windows

if TYPE_CHECKING:
    from ktrdr.features.scaling import Scaler
    from ktrdr.strategy.spec import Strategy


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A saved model, with everything that prediction needs.

    feature_names: [features]
    class_names: [classes]; empty in a regression
    sequence_length: rows in one window
    target_scale: unit of a regression's outputs
    class_weights: of the training's loss
    start: first day of the training's bars; None for all stored bars
    symbols: number of the first window of each symbol in the training
    trained_on: the bars of the training
    """

    module: nn.Module
    strategy: Strategy
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    scaler: Scaler
    sequence_length: int
    target_scale: float
    class_weights: ClassWeights
    start: date | None
    symbols: Mapping[str, int]
    trained_on: TrainedOn
    device: torch.device

    def outputs(self, values: NDArray[np.float64], symbol: str = "", first: int = 0) -> NDArray[np.float32]:
        """Map unscaled features [rows, features] to outputs [rows - sequence_length + 1, outputs], one row a window.

        `first` is the number of the first window among the symbol's windows; it decides the bits.
        """
        scaled = torch.from_numpy(self.scaler.transform(values)).to(self.device)
        windows = view_of_windows(scaled, self.sequence_length)
        starts = torch.arange(len(windows), device=self.device)
        number = self.symbols.get(symbol, 0) + first
        outputs: NDArray[np.float32] = predict(self.module, windows, starts, number).numpy()
        return outputs


def load_model(folder: Path) -> TrainedModel:
    """Load the model in `folder`, on the device that it was trained on, or else on the CPU.

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
            ClassWeights.of(card),
            date.fromisoformat(card["start"]) if card["start"] else None,
            card["first_windows"],
            TrainedOn.of(card),
            device,
        )
    except FileNotFoundError as error:
        raise ArtifactNotFound(f"there is no model in {folder}", path=str(folder)) from error
    except (ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        raise StorageError(f"the model in {folder} cannot be read: {error}", path=str(folder)) from error


def _device(name: str) -> torch.device:
    """The training's device, which gives the same bits; the CPU where this machine lacks it."""
    try:
        return choose_device(torch.device(name).type)
    except InputError:
        return torch.device("cpu")
