"""Predicts with a saved model alone, by the code that made the samples of its training."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ktrdr.errors import TrainingDataError
from ktrdr.evaluation.outputs import prediction_columns
from ktrdr.features.columns import Columns, SymbolBars, build_features
from ktrdr.market import closings
from ktrdr.saved_models.trained_model import TrainedModel
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy


@dataclass(frozen=True, slots=True)
class Windows:
    """The last windows of a symbol, unscaled. Window i is `values[i : i + length]`.

    values: [windows + length - 1, features]
    length: rows in one window
    first: number of window 0 among all windows of the symbol
    timestamps: [windows], opening instants (us, UTC) of the last bars
    closes: [windows], closes of the last bars
    """

    values: NDArray[np.float64]
    length: int
    first: int
    timestamps: NDArray[np.datetime64]
    closes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.timestamps)

    def stacked(self) -> NDArray[np.float64]:
        """[windows, length, features], a view."""
        return sliding_window_view(self.values, self.length, axis=0).transpose(0, 2, 1)


def closed_bars(strategy: Strategy, bars: SymbolBars, now: datetime | None = None) -> dict[str, pl.DataFrame]:
    """The bars of every timeframe that have closed by `now`."""
    return {
        timeframe: closings.closed_by(frame, Timeframe(timeframe), now or datetime.now(UTC), strategy.calendar)
        for timeframe, frame in bars.items()
    }


def last_windows(strategy: Strategy, symbol: str, bars: SymbolBars, last: int) -> Windows:
    """The windows that end at the newest `last` bars, or at as many as have a whole window.

    Indicators depend on all bars since the first, so the same bits need the same first bar.

    Raises TrainingDataError when no window is whole, or a feature in one is not finite.
    """
    base, length = bars[strategy.timeframes[0]], strategy.model.sequence_length
    columns = build_features(strategy, bars)
    available = len(columns.values) - columns.warmup - length + 1
    if available < 1:
        raise TrainingDataError(
            f"{symbol} has too few closed bars for a window: there are {len(columns.values):,}; "
            f"at least {columns.warmup + length:,} are needed: warm-up {columns.warmup:,} + window {length:,}.",
            hint="load a longer range",
            symbol=symbol,
        )
    ends = min(last, available)
    timestamps = base["timestamp"].tail(ends).to_numpy().astype("datetime64[us]")
    values = columns.values[len(columns.values) - ends - length + 1 :]
    _check_finite(symbol, columns, values, base["timestamp"].tail(len(values)))
    return Windows(values, length, available - ends, timestamps, base["close"].tail(ends).to_numpy())


def predict_last(
    model: TrainedModel, symbol: str, bars: SymbolBars, last: int, now: datetime | None = None
) -> pl.DataFrame:
    """Predict at the last closed bars: timestamp, close, and the columns of `prediction_columns`.

    `bars` holds every timeframe of the strategy, from the first day of the training on.
    """
    windows = last_windows(model.strategy, symbol, closed_bars(model.strategy, bars, now), last)
    predictions = prediction_columns(
        model.outputs(windows.values, symbol, windows.first), model.class_names, model.target_scale
    )
    timestamps = pl.Series(windows.timestamps).dt.replace_time_zone("UTC")
    return pl.DataFrame({"timestamp": timestamps, "close": windows.closes, **predictions})


def _check_finite(symbol: str, columns: Columns, values: NDArray[np.float64], timestamps: pl.Series) -> None:
    finite = np.isfinite(values)
    if finite.all():
        return
    row, column = (int(index) for index in np.argwhere(~finite)[0])
    raise TrainingDataError(
        f"{symbol}: feature {columns.names[column]} is {values[row, column]} at {timestamps[row].isoformat()}.",
        hint="It has no value for such bars; choose a range without them.",
        symbol=symbol,
    )
