"""Predicts with a saved model alone, by the code that made the samples of its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ktrdr.errors import TrainingDataError
from ktrdr.evaluation.outputs import prediction_columns
from ktrdr.features.columns import Columns, build_features
from ktrdr.features.other_series import find_shortfalls
from ktrdr.features.stretches import Divider, opens_of
from ktrdr.instants import format_instant
from ktrdr.market import closings
from ktrdr.market.sessions import instant
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.saved_models.trained_model import TrainedModel
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy


@dataclass(frozen=True, slots=True)
class Windows:
    """The last windows of a symbol, unscaled. Window i is `values[begins[i] : begins[i] + length]`.

    values: [rows, features]; NaN in the warm-up after a hole, which is in no window
    length: rows in one window
    first: number of the window that begins with row 0, among all windows of the symbol
    begins: [windows], first rows
    timestamps: [windows], opening instants (us, UTC) of the last bars
    closes: [windows], closes of the last bars
    """

    values: NDArray[np.float64]
    length: int
    first: int
    begins: NDArray[np.int64]
    timestamps: NDArray[np.datetime64]
    closes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.timestamps)

    def stacked(self) -> NDArray[np.float64]:
        """[windows, length, features]"""
        return sliding_window_view(self.values, self.length, axis=0).transpose(0, 2, 1)[self.begins]


def closed_bars(strategy: Strategy, bars: SymbolBars, now: datetime | None = None) -> SymbolBars:
    """The bars of every timeframe that have closed by `now`."""
    instant = now or datetime.now(UTC)
    return bars.map(
        lambda timeframe, frame: closings.closed_by(frame, Timeframe(timeframe), instant, strategy.calendar)
    )


def last_windows(strategy: Strategy, symbol: str, bars: SymbolBars, last: int) -> Windows:
    """The windows that end at the newest `last` bars, or at as many of them as have a whole window without a hole.

    Indicators depend on all bars since the first, so the same bits need the same first bar.

    Raises TrainingDataError when no window is whole, or a feature in one is not finite.
    """
    base, length = bars[strategy.timeframes[0]], strategy.model.sequence_length
    columns = Divider.of(strategy, symbol, bars).features(build_features)(strategy, bars)
    begins, first_rows = np.arange(base.height) - (length - 1), columns.first_rows()
    ends = np.flatnonzero(begins >= first_rows)
    ends = ends[ends >= base.height - last]
    if not len(ends):
        _check_other_series(strategy, symbol, bars)
        raise _too_few_bars(symbol, base["timestamp"], columns, length, is_cut=bool((begins >= first_rows).any()))
    first = int(begins[ends[0]])
    values = columns.values[first:]
    in_windows = np.arange(first, base.height) >= first_rows[first:]
    _check_finite(symbol, columns.names, values[in_windows], base["timestamp"].slice(first).filter(in_windows))
    timestamps = base["timestamp"].gather(ends).to_numpy().astype("datetime64[us]")
    number = first - columns.warmup
    return Windows(values, length, number, begins[ends] - first, timestamps, base["close"].gather(ends).to_numpy())


def _check_other_series(strategy: Strategy, symbol: str, bars: SymbolBars) -> None:
    """Raises TrainingDataError where another series has nothing that is new enough for the newest bar."""
    base = strategy.timeframes[0]
    opens = opens_of(bars[base])
    closes = closings.closes_at(bars[base], base, strategy.calendar)
    for each in find_shortfalls(strategy, bars.others, opens, closes):
        if each.last == instant(opens[-1]):
            raise TrainingDataError(
                f"{each.series} has nothing that is new enough for the newest bars of {symbol}, since "
                f"{format_instant(each.first, 'seconds')}.",
                hint=f"load what is missing with: {each.mend}",
                symbol=symbol,
            )


def _too_few_bars(
    symbol: str, timestamps: pl.Series, columns: Columns, length: int, *, is_cut: bool
) -> TrainingDataError:
    """The error where the newest bars have no window of `length`; `is_cut` tells that bars before a hole have one."""
    begin, ready = columns.restarts[-1] if is_cut else (0, columns.warmup)
    since = f" since bars were missing before {format_instant(timestamps[begin], 'seconds')}" if is_cut else ""
    return TrainingDataError(
        f"{symbol} has too few closed bars for a window{since}: there are {len(timestamps) - begin:,}; "
        f"at least {ready - begin + length:,} are needed: warm-up {ready - begin:,} + window {length:,}.",
        hint="load the missing bars" if is_cut else "load a longer range",
        symbol=symbol,
    )


def predict_last(
    model: TrainedModel, symbol: str, bars: SymbolBars, last: int, now: datetime | None = None
) -> pl.DataFrame:
    """Predict at the last closed bars: timestamp, close, and the columns of `prediction_columns`.

    `bars` holds every timeframe of the strategy, from the first day of the training on.
    """
    windows = last_windows(model.strategy, symbol, closed_bars(model.strategy, bars, now), last)
    outputs = model.outputs(windows.values, symbol, windows.first)[windows.begins]
    predictions = prediction_columns(outputs, model.class_names, model.target_scale, model.class_weights.values)
    timestamps = pl.Series(windows.timestamps).dt.replace_time_zone("UTC")
    return pl.DataFrame({"timestamp": timestamps, "close": windows.closes, **predictions})


def _check_finite(symbol: str, names: Sequence[str], values: NDArray[np.float64], timestamps: pl.Series) -> None:
    finite = np.isfinite(values)
    if finite.all():
        return
    row, column = (int(index) for index in np.argwhere(~finite)[0])
    raise TrainingDataError(
        f"{symbol}: feature {names[column]} is {values[row, column]} at {timestamps[row].isoformat()}.",
        hint="It has no value for such bars: load bars with a value, or train without the feature.",
        symbol=symbol,
    )
