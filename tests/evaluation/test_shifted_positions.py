from __future__ import annotations

import numpy as np
import pytest

from ktrdr.evaluation.shifted_positions import shifted_ends
from ktrdr.evaluation.sleeves import trade

LEVELS = {
    "never flat": [-1.0, 1.0],
    "long, flat and short": [-1.0, 0.0, 1.0],
    "one level": [1.0],
    "rarely flat": [-1.0] * 60 + [0.0] + [1.0] * 50,
    "many levels": np.linspace(-1.5, 1.5, 40).tolist(),
}


@pytest.mark.parametrize("levels", LEVELS.values(), ids=LEVELS)
@pytest.mark.parametrize("volatility", [0.01, 0.8], ids=["calm", "ruinous"])
@pytest.mark.parametrize("rate", [0.0, 0.001, 0.7])
def test_a_shift_ends_where_trading_the_shifted_positions_ends(
    levels: list[float], volatility: float, rate: float
) -> None:
    random = np.random.default_rng(5)
    positions = random.choice(levels, 300)
    returns = np.maximum(volatility * random.normal(size=300), -1)
    shifts = random.integers(0, 300, 40)

    ends = shifted_ends(positions, returns, rate, shifts)

    traded = [trade(np.roll(positions, shift), returns, rate).equity[-1] for shift in shifts]
    assert ends == pytest.approx(traded, rel=1e-12, abs=1e-250)


def test_a_single_period_has_the_one_shift() -> None:
    assert shifted_ends(np.ones(1), np.array([0.1]), 0.01, np.zeros(3, np.int64)) == pytest.approx(
        [0.99 * 1.1 * 0.99] * 3
    )


def test_blocks_join_without_a_gap() -> None:
    random = np.random.default_rng(6)
    positions, returns = random.choice([-1.0, 1.0], 70_001), 0.001 * random.normal(size=70_001)

    (end,) = shifted_ends(positions, returns, 0.0001, np.array([40_000]))

    assert end == pytest.approx(trade(np.roll(positions, 40_000), returns, 0.0001).equity[-1], rel=1e-12)
