"""Trainings that nothing happens to: every other one of the same strategy must agree with them, bit for bit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.system import System

_BATCH_SIZE = 64
_STRATEGY = """
name: {name}
training: {{epochs: {epochs}, batch_size: {batch_size}, {training}}}
model: {{{model}}}
indicators: [{{name: rsi, period: 14}}, {{name: sma, period: 10}}]
"""
# Between them: every model family, dropout (torch's generator), three optimisers, weights of classes, early stopping.
_DIFFERENCES = {
    "quick_mlp": (400, "seed: 7", "type: mlp, layers: 1, hidden_size: 8, sequence_length: 5"),
    "gru_dropout": (
        80,
        "optimizer: adamw, class_weights: balanced, gradient_clip: 1.0",
        "type: gru, layers: 2, hidden_size: 8, dropout: 0.3, sequence_length: 6",
    ),
    "lstm_stopping": (
        100_000,
        "optimizer: sgd, learning_rate: 0.05, early_stopping: {patience: 60, min_delta: 0.0001}",
        "type: lstm, layers: 1, hidden_size: 8, sequence_length: 6",
    ),
}


def _strategies(share: float) -> dict[str, str]:
    """With this share of the epochs."""
    return {
        name: _STRATEGY.format(
            name=name, epochs=round(epochs * share), batch_size=_BATCH_SIZE, training=training, model=model
        )
        for name, (epochs, training, model) in _DIFFERENCES.items()
    }


STRATEGIES = _strategies(1.0)
BRIEF = _strategies(0.4)
_IN_FOLDS = """
name: in_folds
training: {epochs: 40, batch_size: 64, seed: 7}
model: {type: mlp, layers: 1, hidden_size: 8, sequence_length: 5}
indicators: [{name: rsi, period: 14}]
validation: {type: walk_forward, folds: 2}
"""
LOAD = {"symbol": "MADE", "timeframe": "1h", "provider": "synthetic", "start_date": "2024-01-01", "replace": True}


@dataclass(frozen=True, slots=True)
class Reference:
    """What an uninterrupted training of one strategy came to."""

    name: str
    strategy: str
    epochs_planned: int
    samples: int
    records: tuple[dict[str, Any], ...]
    final_metrics: dict[str, Any]
    evaluation: dict[str, Any]
    weights: bytes

    @property
    def epochs(self) -> int:
        return len(self.records)

    def differences(self, system: System, operation_id: str) -> list[str]:
        """In what a completed training of the same strategy came to something else."""
        results, metrics = system.results(operation_id), system.metrics(operation_id)["metrics"]
        pairs = {
            "metrics": (tuple(measured(record) for record in metrics), self.records),
            "final metrics": (measured(results["final_metrics"]), self.final_metrics),
            "evaluation": (_alone(results["evaluation"]), self.evaluation),
            "weights": (Path(results["model_path"]).read_bytes(), self.weights),
        }
        return [name for name, (found, expected) in pairs.items() if found != expected]

    def percentage(self, step: int, items: int) -> float:
        """What the progress must say where the state of one instant tells `step` and `items`."""
        if not step:
            return 0.0
        batches = math.ceil(self.samples / _BATCH_SIZE)
        batch = math.ceil((items - (step - 1) * self.samples) / _BATCH_SIZE)
        return round(min(100.0 * (step - 1 + batch / batches) / self.epochs_planned, 99.9), 2)


def measured(record: dict[str, Any]) -> dict[str, Any]:
    """What is computed of a record or of final metrics; the rest says when, and how long it took."""
    clocks = ("timestamp", "duration", "training_duration_seconds")
    return {name: value for name, value in record.items() if name not in clocks}


def request(strategy: str, symbol: str = "AAPL") -> dict[str, Any]:
    """The body that starts a training."""
    return {"strategy": strategy, "symbols": [symbol], "timeframes": ["1d"]}


FOLDS = request(_IN_FOLDS)


def train_undisturbed(system: System, strategies: Mapping[str, str] = STRATEGIES) -> dict[str, Reference]:
    started = {name: system.post("/training/start", request(text)).json() for name, text in strategies.items()}
    return {
        name: _reference(system, name, strategies[name], operation["operation_id"])
        for name, operation in started.items()
    }


def _alone(evaluation: dict[str, Any]) -> dict[str, Any]:
    """An evaluation without what depends on the other tries at the same rows."""
    return {name: value for name, value in evaluation.items() if name not in ("selection", "verdict")}


def _reference(system: System, name: str, strategy: str, operation_id: str) -> Reference:
    completed, results = system.ended(operation_id), system.results(operation_id)
    records = tuple(measured(record) for record in system.metrics(operation_id)["metrics"])
    assert [record["epoch"] for record in records] == list(range(1, len(records) + 1))
    return Reference(
        name,
        strategy,
        completed["progress"]["total_epochs"],
        completed["progress"]["items_processed"] // len(records),
        records,
        measured(results["final_metrics"]),
        _alone(results["evaluation"]),
        Path(results["model_path"]).read_bytes(),
    )
