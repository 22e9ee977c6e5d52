"""The features of one symbol or of many as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ktrdr.features.columns import build_features, feature_names
from ktrdr.features.stretches import Divider
from ktrdr.market.symbol_bars import SymbolBars

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy

# A name that no feature can have.
_IS_KNOWN = " is known"


def feature_table(strategy: Strategy, symbol: str, bars: SymbolBars) -> pl.DataFrame:
    """One row a bar of the base timeframe: `timestamp` and the unscaled features, null in warm-up rows.

    Raises TrainingDataError.
    """
    return _with_nulls(strategy, [_table(strategy, symbol, bars)])


def feature_tables(strategy: Strategy, bars: Iterable[tuple[str, SymbolBars]]) -> pl.DataFrame:
    """The tables of several symbols below each other, with a first column `symbol`.

    Raises TrainingDataError.
    """
    tables = {symbol: _table(strategy, symbol, own) for symbol, own in bars}
    symbols = pl.Series("symbol", list(tables)).gather(
        np.repeat(np.arange(len(tables)), list(map(len, tables.values())))
    )
    return _with_nulls(strategy, list(tables.values())).insert_column(0, symbols)


def _table(strategy: Strategy, symbol: str, bars: SymbolBars) -> pl.DataFrame:
    columns = Divider.of(strategy, symbol, bars).features(build_features)(strategy, bars)
    opens = bars[strategy.timeframes[0]]["timestamp"]
    is_known = np.arange(len(opens)) >= columns.first_rows()
    features = dict(zip(columns.names, columns.values.T, strict=True))
    return pl.DataFrame({"timestamp": opens, **features, _IS_KNOWN: is_known})


def _with_nulls(strategy: Strategy, tables: list[pl.DataFrame]) -> pl.DataFrame:
    # One pass over the rows of all symbols takes a fraction of the time of a pass for each.
    known = pl.when(_IS_KNOWN).then(pl.col(feature_names(strategy)))
    return pl.concat(tables).with_columns(known).drop(_IS_KNOWN)
