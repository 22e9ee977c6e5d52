"""Ranks, beside those of scipy."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from ktrdr.features.ranks import ranks

FINITE = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-2, 2).map(float)


@given(st.lists(FINITE, min_size=1, max_size=30))
def test_ranks_are_those_of_scipy_to_the_last_bit(values: list[float]) -> None:
    np.testing.assert_array_equal(ranks(np.array(values)), rankdata(values))
