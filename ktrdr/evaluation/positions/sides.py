"""Which side predictions ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.baselines import Guess
from ktrdr.payloads.trading_rules import Positions

Floats = NDArray[np.float64]

SIDES = {"up": 1.0, "down": -1.0}


def choose_sides(guess: Guess, class_names: Sequence[str], scales: Floats, rules: Positions) -> Floats:
    """1 for long, -1 for short, else 0 [samples]; `scales` [samples] are the unit of a regression's numbers."""
    if rules.rule == "sign":
        sides = sides_of(guess.predicted, class_names)
    elif class_names:
        sides = _sure_sides(guess, class_names, rules.threshold or 0.0)
    else:
        sides = _large_sides(guess.predicted * scales, rules.threshold or 0.0)
    return _in_direction(sides, rules.direction)


def sides_of(predicted: NDArray[Any], class_names: Sequence[str]) -> Floats:
    """[samples], 1 for a predicted up, -1 for a predicted down, else 0; of predicted numbers the sign."""
    if not class_names:
        return np.asarray(np.sign(predicted), np.float64)
    side_of_class = np.array([SIDES.get(name, 0.0) for name in class_names])
    return np.asarray(side_of_class[predicted], np.float64)


def probability(guess: Guess, class_names: Sequence[str], name: str) -> Floats:
    """[samples], the predicted probability of a class; zero of one that there is not."""
    assert guess.probabilities is not None  # a model's guess of classes has them
    if name not in class_names:
        return np.zeros(len(guess.probabilities))
    return guess.probabilities[:, class_names.index(name)]


def _sure_sides(guess: Guess, class_names: Sequence[str], threshold: float) -> Floats:
    """The likelier of up and down, where its probability is at least `threshold`."""
    up, down = (probability(guess, class_names, name) for name in SIDES)
    return np.sign(up - down) * (np.maximum(up, down) >= threshold)


def _large_sides(returns: Floats, threshold: float) -> Floats:
    return np.sign(returns) * (np.abs(returns) >= threshold)


def _in_direction(sides: Floats, direction: str) -> Floats:
    if direction == "both":
        return sides
    return np.maximum(sides, 0.0) if direction == "long" else np.minimum(sides, 0.0)
