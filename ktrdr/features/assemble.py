"""Turns bars into the dataset of a fold: the ordered split, the labels, the scaling and the windows.

Nothing here sees the future. Features of a bar use that bar and earlier ones. The bar that settles a training label has
closed when the first validation bar opens. The scaler is fitted on training rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import TrainingDataError
from ktrdr.features.checks import check_fold, check_labels, check_symbol_split, split_parts
from ktrdr.features.columns import Build, build_features, feature_names
from ktrdr.features.dataset import Dataset, LeftOut, Part, Rows, SymbolCoverage, Values
from ktrdr.features.labels.label import Cuts
from ktrdr.features.labels.types import label_of
from ktrdr.features.needed_bars import MIN_SAMPLES
from ktrdr.features.panel import Panel, SymbolSeries, build_panel
from ktrdr.features.scaling import Scaler, fit_scaler
from ktrdr.features.splits import Split, split
from ktrdr.features.uniqueness import average_uniqueness
from ktrdr.market.sessions import instant
from ktrdr.market.symbol_bars import SymbolBars

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy

Fit = Callable[[Any, NDArray[np.float64]], Scaler]


def build_dataset(
    strategy: Strategy,
    bars: Mapping[str, SymbolBars],
    fold: int = 0,
    *,
    build: Build = build_features,
    fit: Fit = fit_scaler,
) -> Dataset:
    """Build the samples of one fold. `bars` maps each symbol to its checked bars of every timeframe of the strategy.

    Raises TrainingDataError when there are too few bars or only one class, or when a feature is not finite.
    """
    return assemble(build_panel(strategy, bars, build), fold, fit)


def assemble(panel: Panel, fold: int = 0, fit: Fit = fit_scaler) -> Dataset:
    """Build the samples of one fold. All folds share the panel's features, so each further fold is cheap.

    Raises TrainingDataError when the fold has too few samples, or training samples of one class only.
    """
    strategy = panel.strategy
    pieces, left_out = _pieces(panel, fold)
    names = feature_names(strategy)
    scaler = fit(strategy.features.scaling, _training_rows(strategy, pieces))
    labels = _fit_labels(strategy, pieces)
    train = _part(pieces, [piece.split.train for piece in pieces], labels)
    if strategy.training.sample_weights == "uniqueness":
        train = replace(train, weights=_uniqueness(pieces))
    dataset = Dataset(
        values=_scaled(scaler, pieces, names),
        feature_names=names,
        class_names=labels.class_names,
        sequence_length=strategy.model.sequence_length,
        train=train,
        validation=_part(pieces, [piece.split.validation for piece in pieces], labels),
        test=_part(pieces, [piece.split.test for piece in pieces], labels) if strategy.validation.test else None,
        scaler=scaler,
        cuts=labels.cuts,
        target_scale=labels.scale,
        symbols=tuple(piece.series.symbol for piece in pieces),
        coverage=tuple(_coverage(piece) for piece in pieces),
        left_out=left_out,
        bridges_holes=strategy.data.holes == "bridge",
    )
    check_labels(dataset)
    return dataset


def add_samples(dataset: Dataset, panel: Panel, rows: Sequence[Rows]) -> tuple[Dataset, Part]:
    """The dataset with the samples of other bars, and these as a part, by the dataset's scaling and labels.

    They end at `rows`, one array for each series of the panel. Values, symbols and coverage of the panel stand behind
    those of the dataset, so a symbol may be there twice. Raises TrainingDataError for a feature that is not finite.
    """
    none = np.empty(0, np.int64)
    pieces = [_Piece(series, Split(none, own, none, 0)) for series, own in zip(panel.series, rows, strict=True)]
    added = _part(pieces, rows, _Labels(dataset.class_names, dataset.cuts, dataset.target_scale))
    added = replace(added, ends=added.ends + len(dataset.values), symbols=added.symbols + len(dataset.symbols))
    extended = replace(
        dataset,
        values=np.concatenate([dataset.values, _scaled(dataset.scaler, pieces, dataset.feature_names)]),
        symbols=(*dataset.symbols, *(series.symbol for series in panel.series)),
        coverage=(*dataset.coverage, *map(_coverage, pieces)),
    )
    return extended, added


@dataclass(frozen=True, slots=True)
class _Piece:
    """One symbol's share of a fold."""

    series: SymbolSeries
    split: Split


def _pieces(panel: Panel, fold: int) -> tuple[list[_Piece], tuple[LeftOut, ...]]:
    """The symbols that the fold trains on, and those that lack samples in some part.

    A symbol without training samples is left out, because the model has never seen it. A symbol with training samples
    only stays: dropping it would select training data by what happened later (survivorship bias).
    """
    strategy, series = panel.strategy, panel.series
    splits = split(strategy, [symbol.timeline for symbol in series], fold)
    pieces = [_Piece(*pair) for pair in zip(series, splits, strict=True)]
    if not panel.may_leave_out:
        for piece in pieces:
            check_symbol_split(strategy, piece.series.symbol, piece.series.timeline.opens, piece.split)
        return pieces, ()
    left_out = tuple(entry for piece in pieces if (entry := _left_out(strategy, piece)))
    trained = [piece for piece in pieces if _is_trained_on(piece.split)]
    check_fold(strategy, fold, [piece.split for piece in trained], left_out)
    return trained, left_out


def _is_trained_on(split: Split) -> bool:
    return len(split.train) >= MIN_SAMPLES


def _left_out(strategy: Strategy, piece: _Piece) -> LeftOut | None:
    parts, opens = split_parts(strategy, piece.split), piece.series.timeline.opens
    if _is_trained_on(piece.split):
        missing = tuple(name for name, rows in parts.items() if not len(rows))
        lack = f"no {' and no '.join(missing)} samples"
    else:
        missing = tuple(parts)
        lack = f"{len(piece.split.train)} training samples and needs {MIN_SAMPLES}"
    if not missing:
        return None
    first, last = instant(opens[0]), instant(opens[-1])
    reason = f"has {lack}: its bars run from {first.date()} to {last.date()}"
    return LeftOut(piece.series.symbol, missing, first, last, reason)


def _training_rows(strategy: Strategy, pieces: Sequence[_Piece]) -> NDArray[np.float64]:
    """[rows, features], column by column in memory: the unscaled rows inside training windows, each once."""
    length = strategy.model.sequence_length
    columns = []
    for piece in pieces:
        values, train = piece.series.columns.values, piece.split.train
        # +1 where a window begins and -1 after it ends: the running sum counts the windows that hold a row.
        opened = np.zeros(len(values) + 1, np.int64)
        opened[train - length + 1] += 1
        opened[train + 1] -= 1
        columns.append(values.T[:, np.cumsum(opened[:-1]) > 0])
    return np.concatenate(columns, axis=1).T


def _scaled(scaler: Scaler, pieces: Sequence[_Piece], names: tuple[str, ...]) -> NDArray[np.float32]:
    values = np.empty((sum(piece.series.kept_rows for piece in pieces), len(names)), np.float32)
    is_finite, place = np.isfinite(scaler.scale), 0
    for columns in (piece.series.columns for piece in pieces):
        own = values[place : place + max(0, len(columns.values) - columns.warmup)]
        scaler.transform(columns.values[columns.warmup :], own)
        is_known = columns.first_rows()[columns.warmup :] <= np.arange(columns.warmup, len(columns.values))
        is_finite &= (np.isfinite(own) | ~is_known[:, None]).all(axis=0)
        place += len(own)
    if not is_finite.all():
        name = names[int(np.argmin(is_finite))]
        raise TrainingDataError(
            f"Feature {name} holds numbers too large for a model.",
            hint="Leave it out, or use `features: {scaling: standard}`.",
            feature=name,
        )
    return values


@dataclass(frozen=True, slots=True)
class _Labels:
    """Converts measures into labels; fitted on the training part.

    class_names: [classes]; empty in a regression
    cuts: borders between classes; None in a regression
    scale: standard deviation of the training measures in a regression, else 1
    """

    class_names: tuple[str, ...]
    cuts: Cuts | None
    scale: float

    def convert(self, measures: NDArray[np.float64]) -> Values:
        if self.cuts is not None:
            return self.cuts.classify(measures)
        return (measures / self.scale).astype(np.float32)


def _fit_labels(strategy: Strategy, pieces: Sequence[_Piece]) -> _Labels:
    label = label_of(strategy.labels)
    known = np.concatenate([piece.series.measured.values[piece.split.train] for piece in pieces])
    cuts = label.cuts(strategy.labels, known)
    return _Labels(label.class_names(strategy.labels), cuts, float(known.std()) or 1.0 if cuts is None else 1.0)


def _part(pieces: Sequence[_Piece], rows: Sequence[Rows], labels: _Labels) -> Part:
    """The samples that end at `rows`, which count each piece's own bars."""
    series = [piece.series for piece in pieces]
    offsets = np.cumsum([0, *(one.kept_rows for one in series)])
    placed = list(zip(series, rows, offsets, strict=False))
    measures = np.concatenate([one.measured.values[row] for one, row, _ in placed])
    newest = np.concatenate([one.measured.values[one.newest_settled[row]] for one, row, _ in placed])
    return Part(
        ends=np.concatenate([row - one.columns.warmup + offset for one, row, offset in placed]),
        labels=labels.convert(measures),
        persistence=labels.convert(newest),
        timestamps=np.concatenate([one.timeline.opens[row] for one, row, _ in placed]),
        symbols=np.repeat(np.arange(len(rows)), [len(row) for row in rows]),
        rows=np.concatenate(rows),
        settled=np.concatenate([one.measured.settled[row] for one, row, _ in placed]),
        measures=measures,
        weights=np.ones(len(measures), np.float32),
    )


def _uniqueness(pieces: Sequence[_Piece]) -> NDArray[np.float32]:
    """[training samples], average uniqueness divided by its mean, so that the loss keeps its scale."""
    weights = np.concatenate([_average_uniqueness(piece) for piece in pieces])
    shares: NDArray[np.float32] = (weights / weights.mean()).astype(np.float32)
    return shares


def _average_uniqueness(piece: _Piece) -> NDArray[np.float64]:
    train, settled = piece.split.train, piece.series.measured.settled
    return average_uniqueness(train, settled[train], len(settled))


def _coverage(piece: _Piece) -> SymbolCoverage:
    series, parts = piece.series, piece.split
    opens = series.timeline.opens
    return SymbolCoverage(
        symbol=series.symbol,
        bars=len(opens),
        warmup_rows=series.columns.warmup,
        train_samples=len(parts.train),
        validation_samples=len(parts.validation),
        test_samples=len(parts.test),
        purged_samples=parts.purged,
        unlabelled_rows=int(np.sum(series.measured.settled < 0)),
        first=instant(opens[0]),
        last=instant(opens[-1]),
        border=instant(opens[parts.validation[0]]) if len(parts.validation) else None,
        clock=series.clock,
        holes=series.clock.holes(opens),
        shortfalls=series.shortfalls,
        late=series.late,
    )
