"""The features of every bar: indicators of all timeframes, each computed on its own bars and joined by availability."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import TrainingDataError
from ktrdr.features.indicators import IndicatorCatalogue, Series, log_returns, source_series
from ktrdr.features.timeframes import closes_at, latest_closed
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.strategy.spec import Indicator, Strategy

RETURNS = "log_return"

SymbolBars = Mapping[str, "pl.DataFrame"]
"""One symbol's checked bars of each timeframe."""

# The newest closed bar may lie this far back before it is taken for missing; holidays are shorter.
_MAX_PAUSE = np.timedelta64(7, "D")
_MAX_PAUSE_BARS = 4


@dataclass(frozen=True, slots=True)
class Columns:
    """Unscaled features of every base bar `[rows, features]`, NaN in the first `warmup` rows.

    `warmup` may exceed the rows there are: it is then what would be needed.
    """

    values: NDArray[np.float64]
    names: tuple[str, ...]
    warmup: int


def build_features(strategy: Strategy, bars: SymbolBars) -> Columns:
    """Features of one symbol on the base timeframe's bars, `strategy.timeframes[0]`.

    Raises TrainingDataError when bars of another timeframe are missing where they are needed.
    """
    base = strategy.timeframes[0]
    timestamps = _timestamps(bars[base])
    closes = closes_at(timestamps, base, strategy.calendar)
    names = feature_names(strategy)
    values = np.empty((len(timestamps), len(names)), order="F")
    place, warmup = 0, 0
    for timeframe in strategy.timeframes:
        own = _own_columns(strategy, timeframe, bars[timeframe])
        own_warmup = _warmup(strategy, timeframe)
        if timeframe == base:
            warmup = max(warmup, own_warmup)
            for column in own:
                values[:, place] = column
                place += 1
            continue
        other_closes = closes_at(_timestamps(bars[timeframe]), timeframe, strategy.calendar)
        rows = latest_closed(closes, other_closes)
        warmup = max(warmup, int(np.searchsorted(rows, own_warmup)))
        _check_pauses(timeframe, base, rows[warmup:], other_closes, closes[warmup:])
        for column in own:
            values[:, place] = column[np.maximum(rows, 0)] if len(column) else np.nan
            place += 1
    values[:warmup] = np.nan
    return Columns(values, names, warmup)


def feature_names(strategy: Strategy) -> tuple[str, ...]:
    """The columns of `build_features`, in their order: those of the base timeframe as they are, others as name@1d."""
    catalogue = IndicatorCatalogue()
    return tuple(
        name if timeframe == strategy.timeframes[0] else f"{name}@{timeframe}"
        for timeframe in strategy.timeframes
        for name in (
            *((RETURNS,) if strategy.features.returns else ()),
            *(name for each in _indicators(strategy, timeframe) for name in catalogue.feature_names(each)),
        )
    )


def _own_columns(strategy: Strategy, timeframe: Timeframe, frame: pl.DataFrame) -> Iterator[Series]:
    """On the bars of one timeframe, whatever the others are."""
    catalogue = IndicatorCatalogue()
    close = source_series(frame, "close")
    if strategy.features.returns:
        yield log_returns(close)
    for indicator in _indicators(strategy, timeframe):
        computed = catalogue.compute(indicator, frame)
        for feature in catalogue.features(indicator):
            yield feature.scale.of(computed[feature.name], close)


def _indicators(strategy: Strategy, timeframe: Timeframe) -> list[Indicator]:
    return [each for each in strategy.indicators if each.timeframe in (None, timeframe)]


def _warmup(strategy: Strategy, timeframe: Timeframe) -> int:
    """Leading bars of one timeframe for which at least one of its features has no value."""
    catalogue = IndicatorCatalogue()
    own = _indicators(strategy, timeframe)
    return max([int(strategy.features.returns), *(catalogue.warmup(each) for each in own)])


def _timestamps(frame: pl.DataFrame) -> NDArray[np.datetime64]:
    return frame["timestamp"].to_numpy().astype("datetime64[us]")


def _check_pauses(
    timeframe: Timeframe,
    base: str,
    rows: NDArray[np.int64],
    other_closes: NDArray[np.datetime64],
    closes: NDArray[np.datetime64],
) -> None:
    """A value that is carried on for weeks is no longer the newest: the bars after it are missing."""
    if not len(rows):
        return
    longest = _MAX_PAUSE + _MAX_PAUSE_BARS * np.timedelta64(timeframe.length)
    late = closes - other_closes[rows] > longest
    if late.any():
        row = int(np.argmax(late))
        raise TrainingDataError(
            f"no {timeframe} bar follows the one that closed at {other_closes[rows[row]]}Z, while {base} bars go on: "
            f"{int(late.sum()):,} of them come too long after the newest {timeframe} bar, the first at {closes[row]}Z.",
            hint=f"Load the missing {timeframe} bars, or train on the range that both cover.",
            timeframe=timeframe,
        )
