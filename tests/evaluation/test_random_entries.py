from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ktrdr.evaluation.random_entries import MIN_LOOK_BACKS, Shifts, shift_at_random
from ktrdr.payloads.backtest import RandomEntries

Floats = NDArray[np.float64]

LOOK_BACK = 20


def entries_of(positions: Floats, returns: Floats, look_back: int = LOOK_BACK) -> RandomEntries:
    def returned(shifts: Shifts) -> Floats:
        return np.array([np.roll(positions, shift) @ returns for shift in shifts[:, 0]])

    return shift_at_random(returned, [len(returns)], look_back, float(positions @ returns))


def rule(sign: float, seed: int, bars: int = 120) -> RandomEntries:
    """A rule that follows the last LOOK_BACK moves, or does the opposite, where moves are coin tosses."""
    returns = np.random.default_rng(seed).normal(0, 0.01, bars + LOOK_BACK)
    paths = np.cumsum(np.append(0.0, returns))
    return entries_of(sign * np.sign(paths[LOOK_BACK:-1] - paths[: -LOOK_BACK - 1]), returns[LOOK_BACK:])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_rule_without_skill_is_at_no_particular_place(sign: float) -> None:
    """With every shift allowed, rules that follow have a mean of 38 and rules that oppose one of 62."""
    found = [rule(sign, seed) for seed in range(100)]

    percentiles = [each.percentile for each in found if each.percentile is not None]
    assert len(percentiles) == 100
    assert 43 < np.mean(percentiles) < 57
    assert np.std(percentiles) == pytest.approx(100 / np.sqrt(12), abs=4)


def test_no_shift_puts_a_position_on_bars_that_it_has_seen() -> None:
    asked: list[Shifts] = []

    def returned(shifts: Shifts) -> Floats:
        asked.append(shifts)
        return np.zeros(len(shifts))

    shift_at_random(returned, [300, 250], LOOK_BACK, 0.0)

    (shifts,) = asked
    assert shifts.min() == 1
    assert shifts[:, 0].max() in range(275, 281)
    assert shifts[:, 1].max() in range(225, 231)


def test_a_part_that_is_short_for_its_look_back_has_no_percentile() -> None:
    short, enough = (rule(1.0, seed=0, bars=MIN_LOOK_BACKS * LOOK_BACK - less) for less in (1, 0))

    assert (short.draws, short.percentile, short.p_value, short.low) == (0, None, None, None)
    assert short.look_back == LOOK_BACK
    assert enough.percentile is not None


def test_the_model_is_one_of_the_orders_that_chance_could_have_brought() -> None:
    returns = np.random.default_rng(1).normal(0, 0.01, 400)

    best = entries_of(np.sign(returns), returns)
    constant = entries_of(np.ones(400), returns)

    assert best.p_value == pytest.approx(1 / (1 + best.draws))
    assert best.percentile == 100
    assert constant.p_value == 1.0
    assert constant.percentile == pytest.approx(50)
