"""Pays the one-time costs of a training in advance, in a standby process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
import polars as pl

from ktrdr.experiments.train import run_training
from ktrdr.ledger.recorder import Unrecorded
from ktrdr.market.series_file import StoredBars
from ktrdr.strategy.sections.indicators import Indicator
from ktrdr.strategy.sections.model import LSTM
from ktrdr.strategy.sections.training import Training
from ktrdr.strategy.spec import Strategy
from ktrdr.training.families import build_model
from ktrdr.training.network_trainer import build_optimizer
from ktrdr.training.observer import SilentObserver
from ktrdr.training.request import TrainingRequest


def warm_up() -> None:
    """Train a throw-away model through every step, so that all libraries finish their imports and initialisation."""
    network = LSTM(type="lstm", layers=2, hidden_size=8, sequence_length=4)
    strategy = Strategy(
        name="warm-up",
        timeframes=("1d",),
        model=network,
        training=Training(epochs=1),
        indicators=(Indicator.model_validate({"name": "sma", "period": 3}),),
    )
    for optimizer in get_args(Training.model_fields["optimizer"].annotation):
        build_optimizer(Training(optimizer=optimizer), build_model(network, 2, 2))
    with TemporaryDirectory(prefix="ktrdr-warm-up-") as folder, _quiet():
        request = TrainingRequest("warm-up", strategy, "warm-up", "", ("WARM",), None, None, Path(folder))
        run_training(request, lambda *_: StoredBars(_bars(128), "synthetic"), SilentObserver(), looks=Unrecorded())


def _bars(count: int) -> pl.DataFrame:
    close = 100 + np.sin(np.arange(count, dtype=np.float64))
    first = datetime(2000, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "timestamp": [first + timedelta(days=day) for day in range(count)],
            "open": close,
            "high": close + 1,
            "low": close - 1,
            "close": close,
            "volume": np.ones(count),
        },
        schema_overrides={"timestamp": pl.Datetime("us", "UTC")},
    )


@contextmanager
def _quiet() -> Iterator[None]:
    # The log must not announce a training that no user started.
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
