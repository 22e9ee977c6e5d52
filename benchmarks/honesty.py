"""How often noise is said to beat its baselines, and a planted signal is found: trainings on bars of their own."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from benchmarks.outcome import Figure, at_least, below

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.strategy.spec import Strategy

STRATEGY = Path(__file__).parents[1] / "config" / "strategies" / "test_e2e.yaml"
BARS = 3_000
KNOWN = 0.65
# A signal is planted in the height of the volume, whose relative strength shows it.
EYE = {"name": "rsi", "period": 2, "source": "volume", "as": "volume_rsi"}

Kind = Literal["walk", "signal"]


@dataclass(frozen=True, slots=True)
class Verdict:
    accuracy: float
    beats: bool


def run(walks: int = 40, signals: int = 20) -> list[Figure]:
    found = {kind: judged(kind, range(count)) for kind, count in (("walk", walks), ("signal", signals))}
    beaten = sum(each.beats for each in found["walk"])
    seen = sum(each.beats for each in found["signal"])
    return [
        Figure(f"of {walks} random walks, said to beat the baselines", beaten, "", below(0.05 * walks + 1)),
        Figure(f"of {signals} signals known to {KNOWN:.0%}, found", seen, "", at_least(signals)),
        Figure("mean accuracy on random walks", float(np.mean([each.accuracy for each in found["walk"]])), ""),
        Figure("mean accuracy on planted signals", float(np.mean([each.accuracy for each in found["signal"]])), ""),
    ]


def judged(kind: Any, seeds: Sequence[int]) -> list[Verdict]:
    """Each training in a process that has made others before, as a worker has."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with multiprocessing.get_context("spawn").Pool(max(1, cores)) as pool:
        return pool.starmap(verdict_on, [(kind, seed) for seed in seeds], chunksize=1)


def verdict_on(kind: Kind, seed: int, count: int = BARS) -> Verdict:
    from ktrdr.experiments.train import run_training
    from ktrdr.ledger.recorder import Unrecorded
    from ktrdr.market.series_file import StoredBars
    from ktrdr.training.observer import SilentObserver
    from ktrdr.training.request import TrainingRequest

    series = StoredBars(bars_of(kind, seed, count), "planted")
    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-") as folder:
        request = TrainingRequest(
            f"{kind}_{seed}", strategy_for(kind), "honesty", "", ("A",), None, None, output=Path(folder)
        )
        evaluation = run_training(
            request, lambda _symbol, _timeframe: series, SilentObserver(), looks=Unrecorded()
        ).evaluation
    assert evaluation
    return Verdict(evaluation.accuracy, evaluation.significance.beats_baselines)


def strategy_for(kind: Kind) -> Strategy:
    from ruamel.yaml import YAML

    from ktrdr.strategy.spec import Strategy

    document = YAML(typ="safe").load(STRATEGY.read_text(encoding="utf-8"))
    if kind == "signal":
        document["indicators"].append(EYE)
    return Strategy.model_validate(document).on(["1d"])


def bars_of(kind: Kind, seed: int, count: int) -> pl.DataFrame:
    """Daily bars whose moves are coin tosses; in a signal the volume before knows KNOWN of them."""
    import polars as pl

    random = np.random.default_rng(seed)
    told, sign = (np.where(random.random(count) < 0.5, -1.0, 1.0) for _ in range(2))
    if kind == "signal":
        sign[1:] = np.where(random.random(count - 1) < KNOWN, told[:-1], -told[:-1])
    close = 100 * np.exp(np.cumsum(sign * np.abs(random.normal(0, 0.01, count))))
    opens = np.concatenate([[100.0], close[:-1]])
    first = datetime(2010, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "timestamp": [first + timedelta(days=day) for day in range(count)],
            "open": opens,
            "high": np.maximum(opens, close) * 1.001,
            "low": np.minimum(opens, close) * 0.999,
            "close": close,
            "volume": 1e6 * np.exp(0.5 * told + random.normal(0, 0.1, count)),
        },
        schema_overrides={"timestamp": pl.Datetime("us", "UTC")},
    )
