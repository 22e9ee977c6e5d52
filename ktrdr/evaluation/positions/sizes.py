"""How large a position is, from what was known at the close at which it is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.positions.sides import choose_sides, probability
from ktrdr.payloads.trading_rules import Positions
from ktrdr.strategy.sections.labels import TripleBarrier

if TYPE_CHECKING:
    from ktrdr.strategy.sections.labels import Labels

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What positions are made of. Arrays are [samples].

    guess: of the model
    class_names: in the order of class indices; empty in a regression
    scales: unit of a regression's numbers
    labels: what was predicted
    volatility: deviation of the log returns by bar up to the sample's bar; NaN where it is not known
    bars_per_year: that the calendar expects in the year before
    """

    guess: Guess
    class_names: tuple[str, ...]
    scales: Floats
    labels: Labels
    volatility: Floats
    bars_per_year: Floats


def needs_volatility(rules: Positions, *, is_regression: bool) -> bool:
    return rules.volatility_target is not None or (is_regression and rules.kelly is not None)


def choose_positions(predictions: Predictions, rules: Positions, limit: float) -> Floats:
    """[samples], positions as shares of a symbol's capital.

    side * Kelly size * target / volatility, at most `limit`; either size is left out where it is not asked for. Where
    the volatility is not known or zero, there is no position.
    """
    sides = choose_sides(predictions.guess, predictions.class_names, predictions.scales, rules)
    sizes = np.ones(len(sides))
    if rules.kelly is not None:
        sizes *= np.clip(rules.kelly * _kelly(predictions, sides), 0.0, rules.kelly_cap)
    if rules.volatility_target is not None:
        sizes *= _inverse(predictions.volatility * np.sqrt(predictions.bars_per_year)) * rules.volatility_target
    return np.asarray(sides * np.minimum(sizes, limit), np.float64)


def _kelly(predictions: Predictions, sides: Floats) -> Floats:
    """[samples], the share of the capital that maximises the expected logarithm of it; may be negative."""
    if predictions.class_names:
        return _kelly_of_classes(predictions.guess, predictions.class_names, predictions.labels, sides)
    # The mean over the variance of the return of the same `horizon` bars (Merton 1969, Thorp 2006).
    means: Floats = predictions.guess.predicted * predictions.scales * sides
    return means * _inverse(predictions.labels.horizon * predictions.volatility**2)


def _kelly_of_classes(guess: Guess, class_names: Sequence[str], labels: Labels, sides: Floats) -> Floats:
    """(p - q / b) / (p + q), for a bet that wins b times its stake with p, loses it with q, else gives it back.

    Kelly 1956. With barriers b is the distance of the one over that of the other, else 1.
    """
    up, down = probability(guess, class_names, "up"), probability(guess, class_names, "down")
    win, lose = np.where(sides > 0, up, down), np.where(sides > 0, down, up)
    ratio = labels.upper / labels.lower if isinstance(labels, TripleBarrier) else 1.0
    odds = np.where(sides > 0, ratio, 1 / ratio)
    edge = win - lose / odds
    return np.asarray(np.divide(edge, win + lose, out=np.zeros(len(win)), where=win + lose > 0), np.float64)


def _inverse(values: Floats) -> Floats:
    """1 / `values`, and zero where these are zero or unknown."""
    return np.divide(1.0, values, out=np.zeros(len(values)), where=values > 0)
