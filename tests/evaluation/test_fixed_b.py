from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrdr.evaluation import fixed_b

LEVELS = [0.1, 0.05, 0.025, 0.01, 0.003, 0.0005, 0.0001]


@pytest.mark.parametrize(
    ("level", "b", "critical"),
    # Quantiles of 200,000 simulated t-values each.
    [(0.05, 0.1, 1.836), (0.025, 0.1, 2.23), (0.025, 0.2, 2.524), (0.025, 0.5, 3.474), (0.01, 1.0, 6.06)],
)
def test_critical_values_are_those_of_simulated_t_values(level: float, b: float, critical: float) -> None:
    assert fixed_b.critical_value(level, b) == pytest.approx(critical, rel=0.03)


def test_without_dependence_they_are_normal() -> None:
    assert fixed_b.critical_value(0.025, 0.0) == pytest.approx(1.96, abs=1e-3)
    assert fixed_b.p_value(1.0, 0.0) == pytest.approx(0.159, abs=0.001)


@given(st.sampled_from(LEVELS), st.floats(0, 1))
def test_a_critical_value_has_the_p_value_of_its_level(level: float, b: float) -> None:
    assert fixed_b.p_value(fixed_b.critical_value(level, b), b) == pytest.approx(level, rel=1e-6)


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(0, 1))
def test_a_higher_t_value_is_no_more_probable_and_the_sides_are_alike(one: float, other: float, b: float) -> None:
    low, high = sorted((one, other))

    assert fixed_b.p_value(low, b) >= fixed_b.p_value(high, b)
    assert math.isclose(fixed_b.p_value(one, b), 1 - fixed_b.p_value(-one, b), abs_tol=1e-12)
