"""Which samples a model is trained on, which it is judged on, and which belong to neither.

All borders are instants that every symbol shares. A training sample is kept when the bar that settles its label has
closed before the border; with an embargo, that many bars earlier still. See López de Prado, Advances in Financial
Machine Learning, ch. 7.
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
    """One symbol's bars, by the instants at which they open and have closed, and its candidates for samples.

    Candidate i is the window that ends at bar `rows[i]`; its label is known once bar `settled[i]` has closed.
    """

    opens: Instants
    closes: Instants
    rows: Rows
    settled: Rows


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of one symbol's bars.

    `purged` counts the candidates in no part that lie between the fold's first and last sample: those of other folds
    are not among them.
    """

    train: Rows
    validation: Rows
    test: Rows
    purged: int


@dataclass(frozen=True, slots=True)
class _Borders:
    """Validation lies in [begin, end), training begins at `train_from`, the test part at `test`."""

    train_from: np.datetime64
    begin: np.datetime64
    end: np.datetime64
    test: np.datetime64
    trains_after: bool = False


def fold_count(strategy: Strategy) -> int:
    """How many models a training makes: 1 with a holdout, else one for each fold."""
    return 1 if strategy.validation.type == "holdout" else strategy.validation.folds


def split(strategy: Strategy, timelines: Sequence[Timeline], fold: int = 0) -> list[Split]:
    """The samples of one fold, for each symbol; at least one symbol must have a candidate."""
    borders = _borders(strategy, np.sort(np.concatenate([one.opens[one.rows] for one in timelines])), fold)
    embargo = strategy.validation.embargo
    candidates = [_Candidates(one, borders, embargo_bars(embargo, len(one.opens))) for one in timelines]
    validations = [one.validation() for one in candidates]
    settling = [one.opens[one.settled[own].max()] for one, own in zip(timelines, validations, strict=True) if own.any()]
    last_settling = max(settling, default=_FAR_FUTURE)
    return [one.split(validation, last_settling) for one, validation in zip(candidates, validations, strict=True)]


def embargo_bars(embargo: int | str, bars: int) -> int:
    """In bars; a share of a symbol's `bars` is rounded up."""
    return embargo if isinstance(embargo, int) else math.ceil(bars * float(embargo.removesuffix("%")) / 100)


def _borders(strategy: Strategy, instants: Instants, fold: int) -> _Borders:
    """`instants` are those of all candidates, in order."""
    rule = strategy.validation
    known = len(instants) - _share(len(instants), rule.test)

    def at(count: int) -> np.datetime64:
        return np.datetime64(instants[count]) if count < len(instants) else _FAR_FUTURE

    if rule.type == "holdout":
        begin = min(known - 1, math.floor(known * (1 - strategy.training.validation_split)))
        return _Borders(at(0), at(begin), at(known), at(known))
    first = math.floor(known * rule.initial) if rule.type == "walk_forward" else 0
    begin, end = (first + (known - first) * number // rule.folds for number in (fold, fold + 1))
    since = begin - first if rule.type == "walk_forward" and rule.window == "rolling" else 0
    return _Borders(at(since), at(begin), at(end), at(known), trains_after=rule.type == "purged_kfold")


def _share(samples: int, share: float) -> int:
    return min(samples - 1, math.ceil(samples * share)) if share else 0


@dataclass(frozen=True, slots=True)
class _Candidates:
    """One symbol's candidates beside the borders; masks are [candidates]."""

    bars: Timeline
    borders: _Borders
    embargo: int

    @property
    def opens(self) -> Instants:
        return self.bars.opens[self.bars.rows]

    def validation(self) -> Mask:
        return (self.opens >= self.borders.begin) & (self.opens < self.borders.end) & self._before_test()

    def split(self, validation: Mask, last_settling: np.datetime64) -> Split:
        """`last_settling`: when the bar opens that settles the last validation label of all symbols."""
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
        """Once the symbol's own validation labels are settled; where it has none, those of the other symbols."""
        if validation.any():
            first = int(self.bars.settled[validation].max()) + self.embargo
        else:
            first = int(np.searchsorted(self.bars.opens, last_settling))
            first += self.embargo if first else 0  # before its first bar there is nothing to leave out
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
        first = int(np.searchsorted(bars.opens, border))
        return (bars.closes[bars.settled] <= border) & (bars.settled < first - self.embargo)
