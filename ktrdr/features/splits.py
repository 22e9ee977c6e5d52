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

_NEVER = np.datetime64(2**62, "us")


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
    """Rows of one symbol's bars; `purged` counts the candidates that are in no part."""

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
    """The samples of one fold, for each symbol."""
    borders = _borders(strategy, np.sort(np.concatenate([one.opens[one.rows] for one in timelines])), fold)
    return [_split(one, borders, _embargo(strategy.validation.embargo, len(one.opens))) for one in timelines]


def _borders(strategy: Strategy, instants: Instants, fold: int) -> _Borders:
    """`instants` are those of all candidates, in order."""
    rule = strategy.validation
    known = len(instants) - _share(len(instants), rule.test)

    def at(count: int) -> np.datetime64:
        return np.datetime64(instants[count]) if count < len(instants) else _NEVER

    if rule.type == "holdout":
        begin = min(known - 1, math.floor(known * (1 - strategy.training.validation_split)))
        return _Borders(at(0), at(begin), at(known), at(known))
    first = math.floor(known * rule.initial) if rule.type == "walk_forward" else 0
    begin, end = (first + (known - first) * number // rule.folds for number in (fold, fold + 1))
    since = begin - first if rule.type == "walk_forward" and rule.window == "rolling" else 0
    return _Borders(at(since), at(begin), at(end), at(known), trains_after=rule.type == "purged_kfold")


def _share(samples: int, share: float) -> int:
    return min(samples - 1, math.ceil(samples * share)) if share else 0


def _embargo(embargo: int | str, bars: int) -> int:
    """In bars; a share of the symbol's bars is rounded up."""
    return embargo if isinstance(embargo, int) else math.ceil(bars * float(embargo.removesuffix("%")) / 100)


def _split(one: Timeline, borders: _Borders, embargo: int) -> Split:
    opens = one.opens[one.rows]

    def settled_before(border: np.datetime64) -> NDArray[np.bool_]:
        first = int(np.searchsorted(one.opens, border))
        return (one.closes[one.settled] <= border) & (one.settled < first - embargo)

    before_test = settled_before(borders.test) if borders.test != _NEVER else np.ones(len(opens), bool)
    validation = (opens >= borders.begin) & (opens < borders.end) & before_test
    train = (opens >= borders.train_from) & (opens < borders.begin) & settled_before(borders.begin)
    if borders.trains_after and validation.any():
        over = int(one.settled[validation].max()) + embargo
        train |= (opens >= borders.end) & (one.rows >= over) & before_test
    test = opens >= borders.test
    purged = int(np.sum(~(train | validation | test)))
    return Split(one.rows[train], one.rows[validation], one.rows[test], purged)
