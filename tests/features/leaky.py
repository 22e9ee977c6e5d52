"""Builders of features that know the future, each in one of the ways in which it happens, and honest ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from ktrdr.features.columns import Build, Columns, build_features
from ktrdr.features.sources import log_returns
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.strategy.spec import Strategy


def with_column(name: str, make: Callable[[Strategy, SymbolBars], pl.Series | np.ndarray]) -> Build:
    """The honest features, one of them replaced by what `make` makes of the bars."""

    def build(strategy: Strategy, bars: SymbolBars) -> Columns:
        honest = build_features(strategy, bars)
        values = honest.values.copy()
        values[:, honest.names.index(name)] = np.asarray(make(strategy, bars), np.float64)
        values[: honest.warmup] = np.nan
        return replace(honest, values=values)

    return build


def without_warmup(build: Build) -> Build:
    """Its values are all there from the first bar on: later ones stand in for those that are not."""

    def filled(strategy: Strategy, bars: SymbolBars) -> Columns:
        columns = build(strategy, bars)
        values = pl.DataFrame(columns.values.copy()).fill_nan(None).fill_null(strategy="backward").fill_null(0.0)
        return Columns(values.to_numpy(), columns.names, 0)

    return filled


def base(strategy: Strategy, bars: SymbolBars) -> pl.DataFrame:
    return bars[strategy.timeframes[0]]


def unshifted_day(strategy: Strategy, bars: SymbolBars) -> pl.Series:
    """The day's bar joined onto its own hours by the instants at which they open."""
    days = bars["1d"].select("timestamp", day=pl.Series(log_returns(bars["1d"]["close"].to_numpy())))
    return base(strategy, bars).select("timestamp").join_asof(days, on="timestamp")["day"]


def day_so_far(strategy: Strategy, bars: SymbolBars) -> pl.Series:
    """The move of the day up to each hour: an open bar, known as it came, and no leak."""
    hours = base(strategy, bars)
    return hours.select(
        (pl.col("close") / pl.col("open").first().over(pl.col("timestamp").dt.date())).log()
    ).to_series()


def centred_mean(strategy: Strategy, bars: SymbolBars) -> pl.Series:
    close = base(strategy, bars)["close"]
    return close / close.rolling_mean(7, center=True)


def centred_days(strategy: Strategy, bars: SymbolBars) -> pl.Series:
    """A centred window over days, joined by availability: only the window is wrong."""
    days = bars["1d"]
    mean = (days["close"] / days["close"].rolling_mean(5, center=True)).alias("mean")
    closed = days.select(pl.col("timestamp") + pl.duration(days=1), mean)
    hours = base(strategy, bars).select(pl.col("timestamp") + pl.duration(hours=1))
    return hours.join_asof(closed, on="timestamp")["mean"]


def filled_gap(strategy: Strategy, bars: SymbolBars) -> pl.Series:
    """A feature that has no value for some bars, with the next value instead."""
    frame = base(strategy, bars)
    ratio = pl.Series(log_returns(frame["volume"].to_numpy()))
    return ratio.scatter(np.flatnonzero(frame["timestamp"].dt.ordinal_day() % 30 == 7), None).fill_null(
        strategy="backward"
    )


def normalised(strategy: Strategy, bars: SymbolBars) -> pl.Series:
    volume = base(strategy, bars)["volume"]
    return (volume - volume.mean()) / volume.std()


def move_ahead(strategy: Strategy, bars: SymbolBars) -> pl.Series:
    close = base(strategy, bars)["close"]
    return close.shift(-strategy.labels.horizon) / close - 1


def from_elsewhere(bars: Mapping[str, SymbolBars], strategy: Strategy, symbol: str) -> Build:
    """The direction of the move ahead out of a table that was made before: the same however short the history is."""
    frame = base(strategy, bars[symbol])
    table = frame.select("timestamp", sign=move_ahead(strategy, bars[symbol]).sign())

    def make(strategy: Strategy, bars: SymbolBars) -> pl.Series:
        return base(strategy, bars).select("timestamp").join(table, on="timestamp", how="left")["sign"].fill_null(0.0)

    return with_column("log_return", make)


def peeks_once(row: int) -> Callable[[Strategy, SymbolBars], np.ndarray]:
    """One bar of all has the value of the next."""

    def make(strategy: Strategy, bars: SymbolBars) -> np.ndarray:
        values = log_returns(base(strategy, bars)["close"].to_numpy())
        if len(values) > row + 1:
            values[row] = values[row + 1]
        return values

    return make
