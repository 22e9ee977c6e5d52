"""Checks before a training starts whether it can run: a short job in a worker, which is not an operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ktrdr.executors.outcome import Outcome
from ktrdr.experiments.preflight import check_before_start
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.inputs import with_other_series
from ktrdr.home import Home
from ktrdr.market.quality import enforce
from ktrdr.market.store import BarStore
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.market.tables.store import TableStore
from ktrdr.payloads.jobs import StrategyOnBars
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.spec import Strategy

# Features of longer histories take seconds, so only their training checks them.
MAX_ROWS = 50_000


def run(operation_id: str, payload: Mapping[str, Any], folder: Path, stop: Callable[[], bool]) -> Outcome:
    """Check a StrategyOnBars, the `payload`; `folder` is two levels below the home. Raises TrainingDataError."""
    on_bars = StrategyOnBars.model_validate(payload)
    strategy = load_strategy(on_bars.strategy, IndicatorCatalogue()).on(on_bars.timeframes)
    bars = _read(strategy, on_bars, Home(folder.parents[1]))
    if sum(frame.height for frames in bars.values() for frame in frames.values()) <= MAX_ROWS:
        check_before_start(strategy, bars)
    return Outcome("completed")


def _read(strategy: Strategy, on_bars: StrategyOnBars, home: Home) -> dict[str, SymbolBars]:
    store = BarStore(home.bars)
    bars: dict[str, SymbolBars] = {}
    for symbol in on_bars.symbols:
        stored = {name: store.read_stored(symbol, name, on_bars.start, on_bars.end) for name in on_bars.timeframes}
        for timeframe, series in stored.items():
            enforce(strategy.data, series, symbol, timeframe, strategy.calendar)
        bars[symbol] = SymbolBars.of(stored)
    return with_other_series(
        strategy,
        bars,
        lambda symbol, timeframe: store.read_stored(symbol, timeframe, on_bars.start, on_bars.end),
        TableStore(home.tables).read,
    )
