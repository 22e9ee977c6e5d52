"""Splits samples into training, validation and test parts, and purges the samples between them.

All symbols share the borders, which are instants. A sample before a border stays when the bar that settles its label
has closed by the border and lies more than the embargo before it. See López de Prado, Advances in Financial Machine
Learning, ch. 7.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy

Rows = NDArray[np.int64]
Instants = NDArray[np.datetime64]
Mask = NDArray[np.bool_]

_FAR_FUTURE = np.datetime64(2**62, "us")


@dataclass(frozen=True, slots=True)
class Timeline:
    """The instants of one symbol's bars, and its candidates for samples.

    opens, closes: [bars], opening and closing instants (us, UTC)
    rows: [candidates], the bar at which the window ends
    settled: [candidates], the bar whose close settles the label
    """

    opens: Instants
    closes: Instants
    rows: Rows
    settled: Rows


@dataclass(frozen=True, slots=True)
class Split:
    """The samples of one symbol in one fold.

    train, validation, test: [samples], rows of the symbol's own bars
    purged: number of candidates in no part, between the fold's first and last sample
    """

    train: Rows
    validation: Rows
    test: Rows
    purged: int


@dataclass(frozen=True, slots=True)
class _Borders:
    """The instants that divide a fold.

    train_from: begin of the training part
    begin, end: the validation part is [begin, end)
    test: begin of the test part; far in the future without one
    trains_after: whether training resumes after the validation part
    """

    train_from: np.datetime64
    begin: np.datetime64
    end: np.datetime64
    test: np.datetime64
    trains_after: bool = False


def fold_count(strategy: Strategy) -> int:
    """The number of models that a training makes: 1 with a holdout, else one for each fold."""
    return 1 if strategy.validation.type == "holdout" else strategy.validation.folds


def split(strategy: Strategy, timelines: Sequence[Timeline], fold: int = 0) -> list[Split]:
    """Split each symbol's candidates for one fold; at least one symbol must have a candidate."""
    borders = _borders(strategy, np.sort(np.concatenate([one.opens[one.rows] for one in timelines])), fold)
    embargo = strategy.validation.embargo
    candidates = [_Candidates(one, borders, embargo_bars(embargo, len(one.opens))) for one in timelines]
    validations = [one.validation() for one in candidates]
    settling = [one.opens[one.settled[own].max()] for one, own in zip(timelines, validations, strict=True) if own.any()]
    last_settling = max(settling, default=_FAR_FUTURE)
    return [one.split(validation, last_settling) for one, validation in zip(candidates, validations, strict=True)]


def embargo_bars(embargo: int | str, bars: int) -> int:
    """The embargo in bars. A percentage applies to a symbol's `bars` and is rounded up."""
    return embargo if isinstance(embargo, int) else math.ceil(bars * float(embargo.removesuffix("%")) / 100)


def _borders(strategy: Strategy, instants: Instants, fold: int) -> _Borders:
    """The borders of one fold. `instants` are the sorted opening instants of all symbols' candidates."""
    rule = strategy.validation
    known = len(instants) - _share(len(instants), rule.test)

    def at(count: int) -> np.datetime64:
        return np.datetime64(instants[count]) if count < len(instants) else _FAR_FUTURE

    if rule.type == "holdout":
        begin = min(known - 1, math.floor(known * (1 - strategy.training.validation_split)))
        return _Borders(at(0), at(begin), at(known), at(known))
    first = math.floor(known * rule.initial) if rule.type == "walk_forward" else 0
    # Folds divide the candidates from `first` to `known` into equal counts, up to rounding.
    begin, end = (first + (known - first) * number // rule.folds for number in (fold, fold + 1))
    since = begin - first if rule.type == "walk_forward" and rule.window == "rolling" else 0
    return _Borders(at(since), at(begin), at(end), at(known), trains_after=rule.type == "purged_kfold")


def _share(samples: int, share: float) -> int:
    return min(samples - 1, math.ceil(samples * share)) if share else 0


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Assigns one symbol's candidates to parts. Masks are [candidates]."""

    bars: Timeline
    borders: _Borders
    embargo: int

    @property
    def opens(self) -> Instants:
        return self.bars.opens[self.bars.rows]

    def validation(self) -> Mask:
        return (self.opens >= self.borders.begin) & (self.opens < self.borders.end) & self._before_test()

    def split(self, validation: Mask, last_settling: np.datetime64) -> Split:
        """`last_settling` is the opening instant of the bar that settles the last validation label of all symbols."""
        rows, test = self.bars.rows, self.opens >= self.borders.test
        train = self._train_before()
        if self.borders.trains_after:
            train |= self._train_after(validation, last_settling)
        purged = int(np.sum(self._within_fold() & ~(train | validation | test)))
        return Split(rows[train], rows[validation], rows[test], purged)

    def _train_before(self) -> Mask:
        borders = self.borders
        return (self.opens >= borders.train_from) & (self.opens < borders.begin) & self._settled_before(borders.begin)

    def _train_after(self, validation: Mask, last_settling: np.datetime64) -> Mask:
        """Training resumes once the symbol's validation labels are settled, or without any, those of all symbols."""
        if validation.any():
            first = int(self.bars.settled[validation].max()) + self.embargo
        else:
            first = int(np.searchsorted(self.bars.opens, last_settling))
            first += self.embargo if first else 0  # no embargo before the symbol's first bar
        return (self.opens >= self.borders.end) & (self.bars.rows >= first) & self._before_test()

    def _within_fold(self) -> Mask:
        borders = self.borders
        is_before_end = (self.opens < borders.end) | borders.trains_after
        return (self.opens >= borders.train_from) & (is_before_end | (self.opens >= borders.test))

    def _before_test(self) -> Mask:
        if self.borders.test == _FAR_FUTURE:
            return np.ones(len(self.bars.rows), bool)
        return self._settled_before(self.borders.test)

    def _settled_before(self, border: np.datetime64) -> Mask:
        bars = self.bars
        # Purge by instant, as bars of different symbols may open at different times; embargo by the symbol's own bars.
        first = int(np.searchsorted(bars.opens, border))
        return (bars.closes[bars.settled] <= border) & (bars.settled < first - self.embargo)
