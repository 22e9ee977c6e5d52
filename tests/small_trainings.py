"""Small synthetic trainings: bars whose next move the last one foretells, and an observer that remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
import pytest
import torch

from ktrdr.experiments.train import ReadBars
from ktrdr.market.series_file import StoredBars
from ktrdr.strategy.spec import Strategy
from ktrdr.training.observer import EpochMetrics, Phase, SilentObserver
from ktrdr.training.request import TrainingRequest

SYMBOLS = ("UP", "DOWN")


def planted_bars(count: int = 270, seed: int = 0, obedience: float = 0.9) -> pl.DataFrame:
    """Bars that turn round: with probability `obedience` a move goes against the one before it."""
    random = np.random.default_rng(seed)
    turns = np.where(random.random(count) < obedience, -1.0, 1.0)
    moves = np.cumprod(turns) * random.uniform(0.005, 0.02, count)
    close = 100 * np.exp(np.cumsum(moves))
    opening = np.concatenate([[100.0], close[:-1]])
    first = datetime(2020, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "timestamp": [first + timedelta(days=day) for day in range(count)],
            "open": opening,
            "high": np.maximum(opening, close) * 1.001,
            "low": np.minimum(opening, close) * 0.999,
            "close": close,
            "volume": random.uniform(1e6, 2e6, count),
        },
        schema_overrides={"timestamp": pl.Datetime("us", "UTC")},
    )


@dataclass
class Recorder(SilentObserver):
    """Keeps every call."""

    phases: list[Phase] = field(default_factory=list)
    batches: list[tuple[int, int, int, int]] = field(default_factory=list)
    epochs: list[EpochMetrics] = field(default_factory=list)
    replayed: list[EpochMetrics] = field(default_factory=list)

    def on_phase(self, phase: Phase) -> None:
        self.phases.append(phase)

    def on_batch(self, epoch: int, batch: int, batches: int, samples_seen: int) -> None:
        self.batches.append((epoch, batch, batches, samples_seen))

    def on_epoch(self, metrics: EpochMetrics, *, replayed: bool = False) -> None:
        self.epochs.append(metrics)
        self.replayed += [metrics] if replayed else []


class MakeRequest(Protocol):
    def __call__(self, name: str = ..., *, model: dict[str, Any] = ..., **training: Any) -> TrainingRequest: ...


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    # Two threads wait for each other whenever the machine has other work.
    torch.set_num_threads(1)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope="session")
def read_bars() -> ReadBars:
    series = {"UP": StoredBars(planted_bars(seed=1), "planted"), "DOWN": StoredBars(planted_bars(seed=2), "planted")}
    return lambda symbol, _: series[symbol]


@pytest.fixture
def make_request(tmp_path: Path) -> MakeRequest:
    def make(name: str = "first", *, model: dict[str, Any] | None = None, **training: Any) -> TrainingRequest:
        network = {"type": "lstm", "layers": 1, "hidden_size": 12, "sequence_length": 5} | (model or {})
        document = {
            "name": "Turning tides",
            "timeframes": ["1d"],
            "model": network,
            "training": {"epochs": 6, "batch_size": 32, "learning_rate": 0.01} | training,
            "indicators": [{"name": "rsi", "period": 5}],
        }
        strategy = Strategy.model_validate(document)
        output = tmp_path / name
        return TrainingRequest(name, strategy, "tides", "name: Turning tides\n", ("UP", "DOWN"), None, None, output)

    return make
