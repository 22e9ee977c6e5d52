"""A folder as a training leaves it, without the training: first weights, card, predictions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch

from ktrdr.experiments.unseal import run_unsealing
from ktrdr.features.assemble import build_dataset
from ktrdr.features.dataset import Dataset
from ktrdr.ledger.store import Ledger
from ktrdr.market.series_file import StoredBars
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.training import TrainingResults
from ktrdr.payloads.unsealing import UnsealingResults
from ktrdr.saved_models.writing import model_card, write_model, write_predictions
from ktrdr.strategy.spec import Strategy
from ktrdr.training.architectures.model import predict
from ktrdr.training.families import build_model
from ktrdr.training.fingerprint import Fingerprint
from ktrdr.training.windows import Samples, view_of_windows
from tests.features.series import made_bars
from tests.sample_results import training


def strategy(family: str = "lstm", timeframes: tuple[str, ...] = ("1d",), **sections: Any) -> Strategy:
    network = {"type": family, "layers": 2, "hidden_size": 8, "sequence_length": 6}
    document = {
        "name": "Saved",
        "timeframes": timeframes,
        "model": network,
        "indicators": [{"name": "rsi", "period": 5}, {"name": "ema", "period": 7}],
    }
    return Strategy.model_validate(document | sections)


def daily(symbols: tuple[str, ...] = ("UP", "DOWN"), rows: int = 300) -> dict[str, SymbolBars]:
    return {symbol: SymbolBars({"1d": made_bars(rows, seed=place)}) for place, symbol in enumerate(symbols)}


def save(
    folder: Path, spec: Strategy, bars: Mapping[str, SymbolBars], seed: int = 0, results: TrainingResults | None = None
) -> tuple[Dataset, np.ndarray[Any, Any]]:
    """The dataset, and the outputs for its validation part as a training gets them."""
    dataset = build_dataset(spec, bars)
    torch.manual_seed(seed)
    module = build_model(cast(Any, spec.model), len(dataset.feature_names), dataset.outputs).eval()
    windows = view_of_windows(torch.from_numpy(dataset.values), dataset.sequence_length)
    outputs = predict(module, windows, Samples.of(dataset.validation, dataset.sequence_length).starts).numpy()
    request = SimpleNamespace(
        operation_id=folder.name,
        strategy=spec,
        strategy_name="saved",
        strategy_text="",
        symbols=dataset.symbols,
        start=None,
        end=None,
        fold=0,
    )
    fingerprint = Fingerprint.of(spec, bars)
    card = model_card(cast(Any, request), dataset, fingerprint, {}, results or training(), bars=bars, device="cpu")
    write_model(folder, module.state_dict(), card)
    write_predictions(folder, dataset, "validation", outputs)
    return dataset, outputs


def open_test_part(folder: Path, bars: Mapping[str, SymbolBars]) -> UnsealingResults:
    """The model in `folder` on its test part, with a ledger of its own."""
    with closing(Ledger(folder / "ledger.sqlite")) as ledger:
        opened = run_unsealing(
            folder, "a test", lambda symbol, each, *_: StoredBars(bars[symbol][each], "made"), ledger
        )
    assert opened
    return opened
