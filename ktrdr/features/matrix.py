"""From bars to what a model is trained on: features, labels, windows, the ordered split and the scaling.

Nothing here sees the future: features of a bar use that bar and earlier ones, the bar that settles a training label
has closed when the first validation bar opens, and the scaler knows training rows alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import TrainingDataError
from ktrdr.features.indicators import IndicatorCatalogue, log_returns, source_series
from ktrdr.features.labels import class_names, classify, moves
from ktrdr.strategy.spec import Strategy

if TYPE_CHECKING:
    import polars as pl

RETURNS = "log_return"
MINIMUM_SAMPLES = 2

Method = Literal["standard", "robust", "none"]


@dataclass(frozen=True, slots=True)
class Part:
    """Samples of one side of the split; sample i is the window `values[ends[i] - L + 1 : ends[i] + 1]`.

    `persistence` is the class of the last `horizon` bars' own move, known at the window's end; `timestamps` are the
    opening instants of the windows' last bars.
    """

    ends: NDArray[np.int64]
    labels: NDArray[np.int64]
    persistence: NDArray[np.int64]
    timestamps: NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class SymbolCoverage:
    """What became of one symbol's bars; `border` is the opening instant of the first validation sample's last bar."""

    symbol: str
    bars: int
    warmup_rows: int
    train_samples: int
    validation_samples: int
    purged_samples: int
    unlabelled_rows: int
    first: datetime
    last: datetime
    border: datetime


@dataclass(frozen=True, slots=True)
class Scaler:
    method: Method
    center: NDArray[np.float64]
    scale: NDArray[np.float64]

    def transform(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):
            return ((values - self.center) / self.scale).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        return {"method": self.method, "center": self.center.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scaler:
        return cls(data["method"], np.asarray(data["center"], np.float64), np.asarray(data["scale"], np.float64))


@dataclass(frozen=True, slots=True)
class Dataset:
    """`values` holds every symbol's rows after its warm-up, one symbol after the other, scaled."""

    values: NDArray[np.float32]
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    sequence_length: int
    train: Part
    validation: Part
    scaler: Scaler
    coverage: tuple[SymbolCoverage, ...]


@dataclass(frozen=True, slots=True)
class _Series:
    """One symbol on its way: rows count from its first bar, and candidates are the rows where a sample may end."""

    symbol: str
    values: NDArray[np.float64]
    warmup: int
    close: NDArray[np.float64]
    timestamps: NDArray[np.datetime64]
    candidates: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Split:
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    purged: int


def build_features(strategy: Strategy, frame: pl.DataFrame) -> tuple[NDArray[np.float64], tuple[str, ...], int]:
    """Unscaled features of every bar `[rows, features]`, their names, and the count of leading warm-up rows (NaN)."""
    catalogue = IndicatorCatalogue()
    close = source_series(frame, "close")
    columns = [log_returns(close)] if strategy.features.returns else []
    for indicator in strategy.indicators:
        computed = catalogue.compute(indicator, frame)
        features = catalogue.features(indicator)
        columns += [feature.scale.of(computed[feature.name], close) for feature in features]
    warmup = min(warmup_rows(strategy), frame.height)
    values = np.empty((frame.height, len(columns)))
    for number, column in enumerate(columns):
        values[:, number] = column
    values[:warmup] = np.nan
    return values, feature_names(strategy), warmup


def feature_names(strategy: Strategy) -> tuple[str, ...]:
    """The columns of `build_features`, in their order."""
    catalogue = IndicatorCatalogue()
    own = (RETURNS,) if strategy.features.returns else ()
    return own + tuple(name for indicator in strategy.indicators for name in catalogue.feature_names(indicator))


def warmup_rows(strategy: Strategy) -> int:
    """Leading bars for which at least one feature has no value."""
    catalogue = IndicatorCatalogue()
    return max([int(strategy.features.returns), *(catalogue.warmup(each) for each in strategy.indicators)])


def build_dataset(strategy: Strategy, bars: Mapping[str, pl.DataFrame], bar_length: timedelta) -> Dataset:
    """The samples of one training; `bars` maps each symbol to its checked bars, each open for `bar_length`.

    Raises TrainingDataError when the bars are too few, all of one class, or make a feature that is not finite.
    """
    if not bars:
        raise TrainingDataError("No symbols were given to train on.")
    series = [_series(strategy, symbol, frame) for symbol, frame in bars.items()]
    names = feature_names(strategy)
    border = _border(series, strategy.training.validation_split)
    splits = [_split(one, border, strategy.labels.horizon, np.timedelta64(bar_length)) for one in series]
    for one, split in zip(series, splits, strict=True):
        _check_split(one, split, border)
    scaler = _fit_scaler(strategy.features.scaling, _training_rows(series, splits))
    dataset = Dataset(
        values=_scaled(scaler, series, names),
        feature_names=names,
        class_names=class_names(strategy.labels),
        sequence_length=strategy.model.sequence_length,
        train=_part(strategy, series, [split.train for split in splits]),
        validation=_part(strategy, series, [split.validation for split in splits]),
        scaler=scaler,
        coverage=tuple(_coverage(strategy, *each) for each in zip(series, splits, strict=True)),
    )
    _check_classes(dataset)
    return dataset


def _series(strategy: Strategy, symbol: str, frame: pl.DataFrame) -> _Series:
    _check_length(strategy, symbol, frame.height)
    values, names, warmup = build_features(strategy, frame)
    timestamps = frame["timestamp"].to_numpy().astype("datetime64[us]")
    _check_finite(symbol, values[warmup:], names, timestamps[warmup:])
    candidates = np.arange(_first_end(strategy, warmup), frame.height - strategy.labels.horizon, dtype=np.int64)
    return _Series(symbol, values, warmup, source_series(frame, "close"), timestamps, candidates)


def _first_end(strategy: Strategy, warmup: int) -> int:
    """First row where a window is full and the move behind it, which the persistence baseline repeats, is known."""
    return max(warmup + strategy.model.sequence_length - 1, strategy.labels.horizon)


# The split.


def _border(series: list[_Series], validation_split: float) -> np.datetime64:
    """The one instant where validation begins for all symbols, so that it holds the latest share of all samples."""
    instants = np.sort(np.concatenate([one.timestamps[one.candidates] for one in series]))
    return np.datetime64(instants[_training_count(len(instants), validation_split)])


def _training_count(samples: int, validation_split: float) -> int:
    return min(samples - 1, math.floor(samples * (1 - validation_split)))


def _split(one: _Series, border: np.datetime64, horizon: int, bar_length: np.timedelta64) -> _Split:
    """Samples by their windows' last bars; those whose label's bar is still open at the border are purged."""
    before = one.timestamps[one.candidates] < border
    settled = one.timestamps[one.candidates + horizon] + bar_length <= border
    return _Split(one.candidates[settled], one.candidates[~before], int(np.sum(before & ~settled)))


def _training_rows(series: list[_Series], splits: list[_Split]) -> NDArray[np.float64]:
    """The rows that training windows hold, and no others."""
    return np.concatenate(
        [one.values[one.warmup : split.train[-1] + 1] for one, split in zip(series, splits, strict=True)]
    )


# The scaler.


def _fit_scaler(method: Method, rows: NDArray[np.float64]) -> Scaler:
    features = rows.shape[1]
    if method == "none":
        return Scaler(method, np.zeros(features), np.ones(features))
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = rows.std(axis=0)
        if method == "standard":
            center, scale = rows.mean(axis=0), deviation
        else:
            low, center, high = np.percentile(rows, (25, 50, 75), axis=0)
            # A feature that rests at one value most of the time, as candlestick patterns do, has no quartiles apart.
            scale = np.where(high > low, high - low, deviation)
    low, high = rows.min(axis=0), rows.max(axis=0)
    constant = high - low <= 1e-12 * np.maximum(np.abs(low), np.abs(high))
    return Scaler(method, center, np.where(constant, 1.0, scale))


def _scaled(scaler: Scaler, series: list[_Series], names: tuple[str, ...]) -> NDArray[np.float32]:
    values = np.concatenate([scaler.transform(one.values[one.warmup :]) for one in series])
    finite = np.isfinite(values).all(axis=0) & np.isfinite(scaler.scale)
    if not finite.all():
        name = names[int(np.argmin(finite))]
        raise TrainingDataError(
            f"Feature {name} holds numbers too large for a model.",
            hint="Leave it out, or use `features: {scaling: standard}`.",
            feature=name,
        )
    return values


# Samples.


def _part(strategy: Strategy, series: list[_Series], rows: list[NDArray[np.int64]]) -> Part:
    ends: list[NDArray[np.int64]] = []
    labels: list[NDArray[np.int64]] = []
    persistence: list[NDArray[np.int64]] = []
    timestamps: list[NDArray[np.datetime64]] = []
    offset, horizon = 0, strategy.labels.horizon
    for one, row in zip(series, rows, strict=True):
        classes = classify(moves(one.close, horizon), strategy.labels)
        ends.append(row - one.warmup + offset)
        labels.append(classes[row])
        persistence.append(classes[row - horizon])
        timestamps.append(one.timestamps[row])
        offset += len(one.values) - one.warmup
    return Part(np.concatenate(ends), np.concatenate(labels), np.concatenate(persistence), np.concatenate(timestamps))


def _coverage(strategy: Strategy, one: _Series, split: _Split) -> SymbolCoverage:
    return SymbolCoverage(
        symbol=one.symbol,
        bars=len(one.values),
        warmup_rows=one.warmup,
        train_samples=len(split.train),
        validation_samples=len(split.validation),
        purged_samples=split.purged,
        unlabelled_rows=strategy.labels.horizon,
        first=_instant(one.timestamps[0]),
        last=_instant(one.timestamps[-1]),
        border=_instant(one.timestamps[split.validation[0]]),
    )


def _instant(timestamp: np.datetime64) -> datetime:
    return datetime.fromisoformat(f"{timestamp.astype('datetime64[us]')}+00:00")


# Checks.


def _needed_bars(strategy: Strategy, warmup: int) -> int:
    """The fewest bars of one symbol that leave MINIMUM_SAMPLES on each side of the split."""
    split, horizon = strategy.training.validation_split, strategy.labels.horizon
    floor = max(MINIMUM_SAMPLES / split, (horizon + MINIMUM_SAMPLES) / (1 - split), horizon + 2 * MINIMUM_SAMPLES)
    samples = max(1, math.floor(floor) - 2)
    while not _enough(samples, _training_count(samples, split), horizon):
        samples += 1
    return _first_end(strategy, warmup) + samples + horizon


def _enough(samples: int, before_border: int, horizon: int) -> bool:
    return samples - before_border >= MINIMUM_SAMPLES and before_border - horizon >= MINIMUM_SAMPLES


def _check_length(strategy: Strategy, symbol: str, bars: int) -> None:
    warmup, window, horizon = warmup_rows(strategy), strategy.model.sequence_length, strategy.labels.horizon
    needed = _needed_bars(strategy, warmup)
    if bars >= needed:
        return
    samples = needed - (warmup + window + horizon)
    raise TrainingDataError(
        f"{symbol} has too few bars: there are {bars}; at least {needed} are needed: "
        f"warm-up {warmup} + window {window} + horizon {horizon} + {samples} to split into training and validation.",
        hint="Load a longer range, or use shorter indicators, a shorter window or a shorter horizon.",
        symbol=symbol,
        bars=bars,
        needed=needed,
    )


def _check_finite(
    symbol: str, values: NDArray[np.float64], names: tuple[str, ...], timestamps: NDArray[np.datetime64]
) -> None:
    finite = np.isfinite(values)
    if finite.all():
        return
    row, column = (int(index) for index in np.argwhere(~finite)[0])
    count = int(np.sum(~finite[:, column]))
    raise TrainingDataError(
        f"{symbol}: feature {names[column]} is {values[row, column]} at {_instant(timestamps[row]).isoformat()}; after "
        f"its warm-up it is not finite in {count} of {len(values)} rows.",
        hint="It has no value for such bars, as a logarithm has none below 0 and an average by volume has none where "
        "the volume is 0: use another source or leave it out.",
        symbol=symbol,
        feature=names[column],
        rows=count,
    )


def _check_split(one: _Series, split: _Split, border: np.datetime64) -> None:
    for name, samples in (("training", split.train), ("validation", split.validation)):
        if len(samples) < MINIMUM_SAMPLES:
            raise TrainingDataError(
                f"{one.symbol} has {len(samples)} {name} samples; at least {MINIMUM_SAMPLES} are needed. Validation "
                f"begins at {_instant(border).isoformat()} for all symbols, and the bars of {one.symbol} run from "
                f"{_instant(one.timestamps[0]).isoformat()} to {_instant(one.timestamps[-1]).isoformat()}.",
                hint="Leave the symbol out, or choose dates that all symbols cover.",
                symbol=one.symbol,
                samples=len(samples),
            )


def _check_classes(dataset: Dataset) -> None:
    present = np.unique(dataset.train.labels)
    if len(present) > 1:
        return
    name, count = dataset.class_names[int(present[0])], len(dataset.train.labels)
    raise TrainingDataError(
        f"All {count} training samples are of the class {name!r}: there is nothing to tell apart.",
        hint="Use a longer range, or another horizon or threshold under labels.",
        class_name=name,
        samples=count,
    )
