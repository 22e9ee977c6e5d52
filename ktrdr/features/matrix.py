"""From bars to what a model is trained on: features, labels, windows, the ordered split and the scaling.

Nothing here sees the future: features of a bar use that bar and earlier ones, the bar that settles a training label
has closed when the first validation bar opens, and the scaler knows training rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import TrainingDataError
from ktrdr.features.columns import Columns, SymbolBars, build_features, feature_names
from ktrdr.features.labels.label import Cuts, Measured
from ktrdr.features.labels.types import label_of
from ktrdr.features.scaling import Scaler, fit_scaler
from ktrdr.features.splits import Split, Timeline, split
from ktrdr.features.timeframes import closes_at
from ktrdr.features.uniqueness import average_uniqueness

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy

MINIMUM_SAMPLES = 2

Rows = NDArray[np.int64]
Values = NDArray[np.int64] | NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Part:
    """Samples of one side of the split; sample i is the window `values[ends[i] - L + 1 : ends[i] + 1]`.

    `labels` are class indices, or in a regression targets in units of `Dataset.target_scale`. `persistence` is the
    newest label that was settled at the window's end. `timestamps` are the opening instants of the windows' last bars,
    which are `rows` of the bars of `Dataset.symbols[symbols[i]]`; the close of bar `settled[i]` settles the label,
    whose class or target is made of `measures[i]`. `weights` average to 1 over the training part.
    """

    ends: Rows
    labels: Values
    persistence: Values
    timestamps: NDArray[np.datetime64]
    symbols: Rows
    rows: Rows
    settled: Rows
    measures: NDArray[np.float64]
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SymbolCoverage:
    """What became of one symbol's bars; `border` is the opening instant of the first validation sample's last bar."""

    symbol: str
    bars: int
    warmup_rows: int
    train_samples: int
    validation_samples: int
    test_samples: int
    purged_samples: int
    unlabelled_rows: int
    first: datetime
    last: datetime
    border: datetime


@dataclass(frozen=True, slots=True)
class Dataset:
    """`values` holds every symbol's rows after its warm-up, one symbol after the other, scaled.

    Without class names the training is a regression, whose targets are in units of `target_scale`.
    """

    values: NDArray[np.float32]
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    sequence_length: int
    train: Part
    validation: Part
    test: Part | None
    scaler: Scaler
    cuts: Cuts | None
    target_scale: float
    symbols: tuple[str, ...]
    coverage: tuple[SymbolCoverage, ...]

    @property
    def is_regression(self) -> bool:
        return not self.class_names

    @property
    def outputs(self) -> int:
        """Numbers that a model gives for each window."""
        return len(self.class_names) or 1


@dataclass(frozen=True, slots=True)
class _Series:
    """One symbol on its way; rows count from its first base bar."""

    symbol: str
    columns: Columns
    measured: Measured
    newest_settled: Rows
    timeline: Timeline

    @property
    def kept_rows(self) -> int:
        return len(self.columns.values) - self.columns.warmup


Fit = Callable[[Any, NDArray[np.float64]], Scaler]
Build = Callable[["Strategy", SymbolBars], Columns]


def build_dataset(
    strategy: Strategy,
    bars: Mapping[str, SymbolBars],
    fold: int = 0,
    *,
    build: Build = build_features,
    fit: Fit = fit_scaler,
) -> Dataset:
    """The samples of one training; `bars` maps each symbol to its checked bars of every timeframe of the strategy.

    Raises TrainingDataError when the bars are too few, all of one class, or make a feature that is not finite.
    """
    if not bars:
        raise TrainingDataError("No symbols were given to train on.")
    series = [_series(strategy, symbol, frames, build) for symbol, frames in bars.items()]
    splits = split(strategy, [one.timeline for one in series], fold)
    for one, parts in zip(series, splits, strict=True):
        _check_split(strategy, one, parts)
    names = feature_names(strategy)
    scaler = fit(strategy.features.scaling, _training_rows(strategy, series, splits))
    labels = _fit_labels(strategy, series, splits)
    train = _part(series, [parts.train for parts in splits], labels)
    if strategy.training.sample_weights == "uniqueness":
        train = replace(train, weights=_uniqueness(series, splits))
    dataset = Dataset(
        values=_scaled(scaler, series, names),
        feature_names=names,
        class_names=labels.class_names,
        sequence_length=strategy.model.sequence_length,
        train=train,
        validation=_part(series, [parts.validation for parts in splits], labels),
        test=_part(series, [parts.test for parts in splits], labels) if strategy.validation.test else None,
        scaler=scaler,
        cuts=labels.cuts,
        target_scale=labels.scale,
        symbols=tuple(bars),
        coverage=tuple(_coverage(*each) for each in zip(series, splits, strict=True)),
    )
    _check_labels(dataset)
    return dataset


def _series(strategy: Strategy, symbol: str, frames: SymbolBars, build: Build) -> _Series:
    base = strategy.timeframes[0]
    try:
        columns = build(strategy, frames)
    except TrainingDataError as error:
        raise TrainingDataError(f"{symbol}: {error.detail}", hint=error.hint, symbol=symbol, **error.context) from error
    _check_length(strategy, symbol, len(columns.values), columns.warmup)
    opens = frames[base]["timestamp"].to_numpy().astype("datetime64[us]")
    _check_finite(symbol, columns, opens)
    measured = label_of(strategy.labels).measure(strategy.labels, frames[base])
    newest = measured.newest_settled()
    first = columns.warmup + strategy.model.sequence_length - 1
    is_candidate = (measured.settled >= 0) & (newest >= 0) & (np.arange(len(opens)) >= first)
    rows = np.flatnonzero(is_candidate).astype(np.int64)
    closes = closes_at(opens, base, strategy.calendar)
    return _Series(symbol, columns, measured, newest, Timeline(opens, closes, rows, measured.settled[rows]))


def _training_rows(strategy: Strategy, series: list[_Series], splits: list[Split]) -> NDArray[np.float64]:
    """The rows that training windows hold, and no others."""
    length = strategy.model.sequence_length
    rows = []
    for one, parts in zip(series, splits, strict=True):
        opened = np.zeros(len(one.columns.values) + 1, np.int64)
        opened[parts.train - length + 1] += 1
        opened[parts.train + 1] -= 1
        rows.append(one.columns.values[np.cumsum(opened[:-1]) > 0])
    return rows[0] if len(rows) == 1 else np.concatenate(rows)


def _scaled(scaler: Scaler, series: list[_Series], names: tuple[str, ...]) -> NDArray[np.float32]:
    values = np.concatenate([scaler.transform(one.columns.values[one.columns.warmup :]) for one in series])
    finite = np.isfinite(values).all(axis=0) & np.isfinite(scaler.scale)
    if not finite.all():
        name = names[int(np.argmin(finite))]
        raise TrainingDataError(
            f"Feature {name} holds numbers too large for a model.",
            hint="Leave it out, or use `features: {scaling: standard}`.",
            feature=name,
        )
    return values


# Labels.


@dataclass(frozen=True, slots=True)
class _Labels:
    """How measures become labels, fitted on the training part."""

    class_names: tuple[str, ...]
    cuts: Cuts | None
    scale: float

    def of(self, measures: NDArray[np.float64]) -> Values:
        if self.cuts is not None:
            return self.cuts.classify(measures)
        return (measures / self.scale).astype(np.float32)


def _fit_labels(strategy: Strategy, series: list[_Series], splits: list[Split]) -> _Labels:
    label = label_of(strategy.labels)
    known = np.concatenate([one.measured.values[parts.train] for one, parts in zip(series, splits, strict=True)])
    cuts = label.cuts(strategy.labels, known)
    return _Labels(label.class_names(strategy.labels), cuts, float(known.std()) or 1.0 if cuts is None else 1.0)


def _part(series: list[_Series], rows: list[Rows], labels: _Labels) -> Part:
    offsets = np.cumsum([0, *(one.kept_rows for one in series)])
    pieces = list(zip(series, rows, offsets, strict=False))
    measures = np.concatenate([one.measured.values[row] for one, row, _ in pieces])
    newest = np.concatenate([one.measured.values[one.newest_settled[row]] for one, row, _ in pieces])
    return Part(
        ends=np.concatenate([row - one.columns.warmup + offset for one, row, offset in pieces]),
        labels=labels.of(measures),
        persistence=labels.of(newest),
        timestamps=np.concatenate([one.timeline.opens[row] for one, row, _ in pieces]),
        symbols=np.repeat(np.arange(len(rows)), [len(row) for row in rows]),
        rows=np.concatenate(rows),
        settled=np.concatenate([one.measured.settled[row] for one, row, _ in pieces]),
        measures=measures,
        weights=np.ones(len(measures), np.float32),
    )


def _uniqueness(series: list[_Series], splits: list[Split]) -> NDArray[np.float32]:
    weights = np.concatenate(
        [
            average_uniqueness(parts.train, one.measured.settled[parts.train], len(one.measured.settled))
            for one, parts in zip(series, splits, strict=True)
        ]
    )
    shares: NDArray[np.float32] = (weights / weights.mean()).astype(np.float32)
    return shares


def _coverage(one: _Series, parts: Split) -> SymbolCoverage:
    opens = one.timeline.opens
    return SymbolCoverage(
        symbol=one.symbol,
        bars=len(opens),
        warmup_rows=one.columns.warmup,
        train_samples=len(parts.train),
        validation_samples=len(parts.validation),
        test_samples=len(parts.test),
        purged_samples=parts.purged,
        unlabelled_rows=int(np.sum(one.measured.settled < 0)),
        first=_instant(opens[0]),
        last=_instant(opens[-1]),
        border=_instant(opens[parts.validation[0]]),
    )


def _instant(timestamp: np.datetime64) -> datetime:
    return datetime.fromisoformat(f"{timestamp.astype('datetime64[us]')}+00:00")


# Checks.


def _check_length(strategy: Strategy, symbol: str, bars: int, warmup: int) -> None:
    needed = _needed_bars(strategy, warmup)
    if bars >= needed:
        return
    window, horizon = strategy.model.sequence_length, strategy.labels.horizon
    samples = needed - (warmup + window + horizon)
    raise TrainingDataError(
        f"{symbol} has too few bars: there are {bars}; at least {needed} are needed: "
        f"warm-up {warmup} + window {window} + horizon {horizon} + {samples} to split into training and validation.",
        hint="Load a longer range, or use shorter indicators, a shorter window or a shorter horizon.",
        symbol=symbol,
        bars=bars,
        needed=needed,
    )


def _needed_bars(strategy: Strategy, warmup: int) -> int:
    """The fewest bars of one symbol that leave MINIMUM_SAMPLES in every part, were each label to take its horizon."""
    first_end = max(warmup + strategy.model.sequence_length - 1, strategy.labels.horizon)
    low, high = 0, 1
    while not _is_enough(strategy, first_end, high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_enough(strategy, first_end, middle) else (middle, high)
    return first_end + high + strategy.labels.horizon


def _is_enough(strategy: Strategy, first_end: int, samples: int) -> bool:
    horizon = strategy.labels.horizon
    opens: NDArray[np.datetime64] = np.arange(first_end + samples + horizon).astype("datetime64[us]")
    closes: NDArray[np.datetime64] = np.append(opens[1:], opens[-1:] + np.timedelta64(1, "us"))
    rows = np.arange(first_end, first_end + samples)
    (parts,) = split(strategy, [Timeline(opens, closes, rows, rows + horizon)])
    needed = (parts.train, parts.validation, *((parts.test,) if strategy.validation.test else ()))
    return min(map(len, needed)) >= MINIMUM_SAMPLES


def _check_finite(symbol: str, columns: Columns, opens: NDArray[np.datetime64]) -> None:
    values = columns.values[columns.warmup :]
    for name, column in zip(columns.names, values.T, strict=True):
        finite = np.isfinite(column)
        if finite.all():
            continue
        row, count = int(np.argmin(finite)), int(np.sum(~finite))
        raise TrainingDataError(
            f"{symbol}: feature {name} is {column[row]} at {_instant(opens[columns.warmup + row]).isoformat()}; after "
            f"its warm-up it is not finite in {count} of {len(column)} rows.",
            hint="It has no value for such bars, as a logarithm has none below 0 and an average by volume has none "
            "where the volume is 0: use another source or leave it out.",
            symbol=symbol,
            feature=name,
            rows=count,
        )


def _check_split(strategy: Strategy, one: _Series, parts: Split) -> None:
    opens = one.timeline.opens
    named: Sequence[tuple[str, Rows]] = [("training", parts.train), ("validation", parts.validation)]
    named = [*named, ("test", parts.test)] if strategy.validation.test else named
    for name, samples in named:
        if len(samples) < MINIMUM_SAMPLES:
            raise TrainingDataError(
                f"{one.symbol} has {len(samples)} {name} samples; at least {MINIMUM_SAMPLES} are needed. The parts "
                f"begin and end at the same instants for all symbols, and the bars of {one.symbol} run from "
                f"{_instant(opens[0]).isoformat()} to {_instant(opens[-1]).isoformat()}.",
                hint="Leave the symbol out, or choose dates that all symbols cover.",
                symbol=one.symbol,
                samples=len(samples),
            )


def _check_labels(dataset: Dataset) -> None:
    count = len(dataset.train.labels)
    if dataset.is_regression:
        if len(np.unique(dataset.train.labels)) > 1:
            return
        raise TrainingDataError(
            f"All {count} training samples have the same target, {dataset.train.measures[0]:g}: nothing can be learnt.",
            hint="Use a longer range, or another horizon under labels.",
            samples=count,
        )
    present = np.unique(dataset.train.labels)
    if len(present) > 1:
        return
    name = dataset.class_names[int(present[0])]
    raise TrainingDataError(
        f"All {count} training samples are of the class {name!r}: there is nothing to tell apart.",
        hint="Use a longer range, or another horizon or threshold under labels.",
        class_name=name,
        samples=count,
    )
