"""Directions of moves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrdr.features.labels import class_names, classify, moves
from ktrdr.strategy.spec import Labels


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0.0, ["up", "down", "down", "up"]),
        (0.02, ["up", "down", "flat", "flat"]),
    ],
)
def test_moves_are_told_by_their_direction(threshold: float, expected: list[str]) -> None:
    labels = Labels(threshold=threshold)
    move = moves(np.array([100.0, 110.0, 99.0, 99.0, 100.0]), horizon=1)

    assert [class_names(labels)[index] for index in classify(move, labels)] == expected


@given(
    close=st.lists(st.floats(1, 1000), min_size=4, max_size=40),
    horizon=st.integers(1, 3),
    threshold=st.sampled_from([0.0, 0.01, 0.5]),
)
def test_a_label_is_the_move_from_its_own_bar(close: list[float], horizon: int, threshold: float) -> None:
    labels = Labels(horizon=horizon, threshold=threshold)

    classes = classify(moves(np.array(close), horizon), labels)

    assert len(classes) == len(close) - horizon
    for bar, index in enumerate(classes):
        move = close[bar + horizon] / close[bar] - 1
        name = "up" if move > threshold else "flat" if threshold > 0 and move >= -threshold else "down"
        assert class_names(labels)[index] == name
