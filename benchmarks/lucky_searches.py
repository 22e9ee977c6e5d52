"""How often the winner of a real search beats its baselines on bars with nothing to know, and on a planted signal.

`python -m benchmarks.lucky_searches SEARCHES SIGNALS [TRIALS]` makes other numbers of them.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

import ktrdr
from benchmarks.honesty import BARS, bars_of
from benchmarks.outcome import Figure, at_least, below
from benchmarks.worlds import World
from ktrdr.home import Home
from ktrdr.market.store import BarStore

WALKS, SIGNALS, TRIALS = 200, 40, 50
SYMBOL = "MADE"
STRATEGY = """
name: Searched
search: {{trials: {trials}, sampler: random, seed: {seed}}}
model: {{type: mlp, layers: 1, hidden_size: {{int: [4, 16]}}, sequence_length: 3, dropout: {{float: [0, 0.5]}}}}
training: {{epochs: 10, batch_size: 128, learning_rate: {{log: [1e-3, 1e-1]}}}}
indicators:
  - {{name: rsi, period: {{int: [2, 30]}}}}
  - {{name: rsi, period: 2, source: volume, as: volume_rsi}}
controls: {{shuffled_labels: none}}
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What is said of a winner: by its own tests, and beside all trials."""

    alone: bool
    beside_all: bool


def run(walks: int = WALKS, signals: int = SIGNALS, trials: int = TRIALS) -> list[Figure]:
    nothing = [found_in(bars_without_signal(seed), seed, trials) for seed in range(walks)]
    planted = [found_in(bars_of("signal", seed, BARS), seed, trials) for seed in range(signals)]
    about = f"{trials} trials on bars with nothing to know"
    return [
        Figure(f"winner of {about}, beats its baselines alone", _percent([each.alone for each in nothing]), "%"),
        Figure(f"winner of {about}, beats them", _percent([each.beside_all for each in nothing]), "%", below(2.01)),
        Figure(
            f"of {signals} searches of {trials} trials with a signal of 65 %, found",
            sum(each.beside_all for each in planted),
            "",
            at_least(0.95 * signals),
        ),
    ]


def _percent(outcomes: list[bool]) -> float:
    return 100 * float(np.mean(outcomes))


def bars_without_signal(seed: int) -> pl.DataFrame:
    """By turns a random walk, volatility as it was fitted, and real returns in random order."""
    bars = bars_of("walk", seed, BARS)
    if seed % 3 == 0:
        return bars
    part = next(World(BARS, volatility="fitted" if seed % 3 == 1 else "shuffled").parts(1, seed=seed))
    returns = 0.01 * part.moves.ravel()
    closes = 100 * np.exp(np.cumsum(returns))
    opens = np.concatenate([[100.0], closes[:-1]])
    return bars.with_columns(
        open=pl.Series(opens),
        close=pl.Series(closes),
        high=pl.Series(np.maximum(opens, closes) * 1.001),
        low=pl.Series(np.minimum(opens, closes) * 0.999),
    )


def found_in(bars: pl.DataFrame, seed: int, trials: int) -> Found:
    """Search once, in a home of its own."""
    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-") as folder:
        home = Path(folder) / "home"
        BarStore(Home(home).bars).merge(SYMBOL, "1d", bars, "made up", replace=True)
        text = STRATEGY.format(trials=trials, seed=seed)
        results = ktrdr.search(text, SYMBOL, ["1d"], output=Path(folder) / "search", home=home).results
    selection = results.selection
    assert selection
    assert selection.tries == trials
    return Found(selection.single_p_value < selection.level, selection.beats_baselines)


if __name__ == "__main__":
    for figure in run(*map(int, sys.argv[1:])):
        print(figure.name, figure.value, figure.unit)
