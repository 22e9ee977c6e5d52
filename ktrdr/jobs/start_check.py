"""Checks before a training starts whether it can run: a short job in a worker, which is not an operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ktrdr.executors.outcome import Outcome
from ktrdr.experiments.preflight import check_before_start
from ktrdr.features.inputs import with_other_series
from ktrdr.home import Home
from ktrdr.jobs.strategies import strategy_of
from ktrdr.market.quality import enforce
from ktrdr.market.store import BarStore
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.market.tables.store import TableStore
from ktrdr.payloads.jobs import StrategyOnBars
from ktrdr.strategy.spec import Strategy

# Features of longer histories take seconds, so only their training checks them.
MAX_ROWS = 50_000


def run(operation_id: str, payload: Mapping[str, Any], folder: Path, stop: Callable[[], bool]) -> Outcome:
    """Check a StrategyOnBars, the `payload`; `folder` is two levels below the home. Raises TrainingDataError."""
    on_bars = StrategyOnBars.model_validate(payload)
    strategy = strategy_of(on_bars)
    bars = _read(strategy, on_bars, Home(folder.parents[1]))
    if sum(frame.height for frames in bars.values() for frame in frames.values()) <= MAX_ROWS:
        check_before_start(strategy, bars)
    return Outcome("completed")


def _read(strategy: Strategy, on_bars: StrategyOnBars, home: Home) -> dict[str, SymbolBars]:
    read = BarStore(home.bars).read_ahead(on_bars.symbols, on_bars.timeframes, on_bars.start, on_bars.end)
    bars: dict[str, SymbolBars] = {}
    for symbol in on_bars.symbols:
        stored = {name: read(symbol, name) for name in on_bars.timeframes}
        for timeframe, series in stored.items():
            enforce(strategy.data, series, symbol, timeframe, strategy.calendar)
        bars[symbol] = SymbolBars.of(stored)
    return with_other_series(strategy, bars, read, TableStore(home.tables).read)
