"""A strategy's features as a table, straight from the store: `ktrdr.features(…)`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ktrdr.errors import InputError
from ktrdr.features.columns import SymbolBars, build_features
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.timeframes import on_timeframes
from ktrdr.home import Home
from ktrdr.market.store import BarStore
from ktrdr.settings import read_settings
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.spec import Strategy

if TYPE_CHECKING:
    import polars as pl

Day = date | str | None


def features(
    strategy: Strategy | str | Path,
    symbol: str,
    timeframes: Sequence[str] = (),
    *,
    start: Day = None,
    end: Day = None,
    home: Path | None = None,
) -> pl.DataFrame:
    """One row for each bar of the shortest timeframe: its opening instant and the unscaled features, null in warm-up.

    `strategy` is a Strategy, YAML text or a path. Raises StrategyError, InputError, SeriesNotFound and
    TrainingDataError.
    """
    import polars as pl

    chosen, _ = strategy_of(strategy, timeframes)
    bars = stored_bars(chosen, symbol, start, end, home)
    columns = build_features(chosen, bars)
    known = np.arange(len(columns.values)) >= columns.warmup
    values = {
        name: pl.Series(column).set(pl.Series(~known), None)
        for name, column in zip(columns.names, columns.values.T, strict=True)
    }
    return pl.DataFrame({"timestamp": bars[chosen.timeframes[0]]["timestamp"], **values})


def strategy_of(strategy: Strategy | str | Path, timeframes: Sequence[str]) -> tuple[Strategy, str]:
    """The strategy on its timeframes, and its YAML text. Raises StrategyError and InputError."""
    if isinstance(strategy, Strategy):
        text = strategy.model_dump_json(exclude_none=True)  # JSON is YAML
    elif isinstance(strategy, Path) or "\n" not in strategy:
        text = _text_of(Path(strategy))
    else:
        text = strategy
    return on_timeframes(load_strategy(text, IndicatorCatalogue()), timeframes), text


def stored_bars(strategy: Strategy, symbol: str, start: Day, end: Day, home: Path | None) -> SymbolBars:
    """What the store holds of one symbol. Raises SeriesNotFound."""
    store = BarStore(home_of(home).bars)
    return {name: store.read(symbol, name, day_of(start), day_of(end)) for name in strategy.timeframes}


def home_of(home: Path | None) -> Home:
    return Home(home or read_settings().ktrdr_home)


def day_of(day: Day) -> date | None:
    """Raises InputError."""
    if not isinstance(day, str):
        return day
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise InputError(f"{day!r} is no date", hint="write YYYY-MM-DD") from None


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"there is no file {path}", hint="give a path, YAML text or a Strategy") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
