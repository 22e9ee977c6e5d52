"""Checks a dataset's parts: their borders, values, scaling and class borders."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.labels.types import label_of
from ktrdr.features.leaks.histories import History
from ktrdr.features.leaks.leak import MEANING, Kind, Leak, instant_text, shown
from ktrdr.features.leaks.truncation import differing
from ktrdr.features.scaling import Scaler
from ktrdr.features.splits import embargo_bars

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.strategy.spec import Strategy

Rows = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of one symbol in one part: [samples], last bars and settling bars, as rows of its own bars."""

    name: str
    rows: Rows
    settled: Rows

    @classmethod
    def of(cls, name: str, part: Part, symbol: int) -> Samples:
        own = part.of_symbol(symbol)
        return cls(name, part.rows[own], part.settled[own])


def split_leaks(strategy: Strategy, dataset: Dataset, histories: Sequence[History], number: int) -> Iterator[Leak]:
    """Samples of symbol `number` that lie on the wrong side of a border, or whose labels cross it."""
    symbol, history = dataset.symbols[number], histories[number]
    embargo = embargo_bars(strategy.validation.embargo, history.rows)
    train = Samples.of("training", dataset.train, number)
    validation = Samples.of("validation", dataset.validation, number)
    border = Border.before("validation", dataset.validation, history, embargo)
    is_between = strategy.validation.type == "purged_kfold"
    resumes_at = _first_row_after(dataset, histories, number, embargo) if is_between else None
    yield from border.crossings(symbol, train, resumes_at)
    if dataset.test is not None:
        border = Border.before("test", dataset.test, history, embargo)
        for samples in (train, validation):
            yield from border.crossings(symbol, samples, resumes_at=None)


def _first_row_after(dataset: Dataset, histories: Sequence[History], number: int, embargo: int) -> int:
    """The first row of a symbol that training may use after the validation part.

    It follows the last label of the symbol's own validation samples, or without any, of all symbols. The embargo counts
    the symbol's own bars.
    """
    own = Samples.of("validation", dataset.validation, number)
    if len(own.settled):
        return int(own.settled.max()) + embargo
    others = [(history, Samples.of("validation", dataset.validation, place)) for place, history in enumerate(histories)]
    settling = max(each.opens[each.base][part.settled.max()] for each, part in others if len(part.settled))
    history = histories[number]
    first = int(np.searchsorted(history.opens[history.base], settling))
    return first + embargo if first else 0


@dataclass(frozen=True, slots=True)
class Border:
    """The instant at which a part begins, and the first of one symbol's rows that is not before it."""

    name: str
    instant: np.datetime64
    first: int
    history: History
    embargo: int

    @classmethod
    def before(cls, name: str, part: Part, history: History, embargo: int) -> Border:
        instant = np.datetime64(part.timestamps.min())
        return cls(name, instant, int(np.searchsorted(history.opens[history.base], instant)), history, embargo)

    def crossings(self, symbol: str, samples: Samples, resumes_at: int | None) -> Iterator[Leak]:
        """Samples that cross the border. From row `resumes_at` on they may follow the part; with None they may not."""
        before = samples.rows < self.first
        closes = self.history.closes[self.history.base][samples.settled]
        is_late = before & ((closes > self.instant) | (samples.settled >= self.first - self.embargo))
        is_late |= ~before & (samples.rows < resumes_at if resumes_at is not None else True)
        if is_late.any():
            yield self._leak(symbol, samples, int(np.argmax(is_late)), int(is_late.sum()))

    def _leak(self, symbol: str, samples: Samples, place: int, count: int) -> Leak:
        row, settled = int(samples.rows[place]), int(samples.settled[place])
        instant, known = (instant_text(self.history.closed_at(each)) for each in (row, settled))
        embargo = f" less an embargo of {self.embargo} bars" if self.embargo else ""
        detail = (
            f"the {samples.name} sample of {symbol} that ends at {instant} has a label known at {known}, and the "
            f"{self.name} part begins at {instant_text(self.instant)}{embargo}; this concerns {count:,} of "
            f"{len(samples.rows):,} samples."
        )
        return Leak.of(Kind.UNPURGED_SPLIT, symbol, "", instant, (float(settled), float(self.first)), detail)


def window_rows(samples: Samples, length: int, rows: int) -> NDArray[np.bool_]:
    """[rows], whether a window of any sample holds the row."""
    opened = np.zeros(rows + 1, np.int64)
    np.add.at(opened, samples.rows - length + 1, 1)
    np.add.at(opened, samples.rows + 1, -1)
    return np.cumsum(opened[:-1]) > 0


def scaler_leaks(dataset: Dataset, again: Scaler, instant: str) -> Iterator[Leak]:
    """Columns whose scaling differs from a scaler fitted on the training rows as known at their end."""
    for what, used, known in (
        ("center", dataset.scaler.center, again.center),
        ("scale", dataset.scaler.scale, again.scale),
    ):
        for place in differing(used, known):
            name, values = dataset.feature_names[place], (float(used[place]), float(known[place]))
            one, other = shown(*values)
            detail = (
                f"the {what} of feature {name} of {', '.join(dataset.symbols)} is {one} in the training and {other} "
                f"with the training rows alone, as known at {instant}: {MEANING[Kind.WHOLE_SAMPLE_SCALING]}."
            )
            symbols = ",".join(dataset.symbols)
            yield Leak.of(Kind.WHOLE_SAMPLE_SCALING, symbols, name, instant, values, detail)


def value_leaks(
    dataset: Dataset, number: int, history: History, values: Values, compared: NDArray[np.bool_]
) -> Iterator[Leak]:
    """Columns whose values in the dataset differ from the features made from the bars, in rows `compared`."""
    symbol, rows = dataset.symbols[number], np.flatnonzero(compared)
    offset = first_row(dataset, number)
    used, made = dataset.values[rows + offset], dataset.scaler.transform(values[rows])
    differs = (used != made) & ~(np.isnan(used) & np.isnan(made))
    for place in np.flatnonzero(differs.any(axis=0)):
        name, at = dataset.feature_names[place], int(np.argmax(differs[:, place]))
        pair = float(used[at, place]), float(made[at, place])
        one, other = shown(*pair)
        instant = instant_text(history.closed_at(int(rows[at])))
        detail = (
            f"feature {name} of {symbol} at {instant} is {one} in the training, scaled, and {other} when made from "
            "the bars known then: its origin is unknown."
        )
        yield Leak.of(Kind.FOREIGN_VALUES, symbol, name, instant, pair, detail)


def first_row(dataset: Dataset, number: int) -> int:
    """The offset from a row of a symbol's bars to its row in the dataset's values."""
    place = dataset.train.of_symbol(number).start
    return int(dataset.train.ends[place] - dataset.train.rows[place])


def target_leaks(strategy: Strategy, dataset: Dataset, instant: str) -> Iterator[Leak]:
    """Class borders and the target scale, where they differ from those of the training labels alone."""
    known = label_of(strategy.labels).cuts(strategy.labels, dataset.train.measures)
    pairs = [("scale of the targets", dataset.target_scale, float(dataset.train.measures.std()) or 1.0)]
    if dataset.cuts is not None and known is not None:
        low, low_again = (math.nan if cuts.low is None else cuts.low for cuts in (dataset.cuts, known))
        pairs = [
            ("upper border of the classes", dataset.cuts.high, known.high),
            ("lower border of the classes", low, low_again),
        ]
    for what, used, again in pairs:
        if len(differing(np.array([used]), np.array([again]))):
            one, other = shown(used, again)
            detail = f"the {what} is {one} in the training and {other} with the training labels alone."
            yield Leak.of(Kind.WHOLE_SAMPLE_LABELS, ",".join(dataset.symbols), what, instant, (used, again), detail)
