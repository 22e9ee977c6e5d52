"""The limits that a strategy sets for its bars."""

from __future__ import annotations

import pytest

from ktrdr.errors import StrategyError
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.strategy.loading import load_strategy

STRATEGY = "name: Limits\nmodel: {type: lstm}\ndata: "


def test_limits_are_read_and_left_out_ones_are_none() -> None:
    given = load_strategy(STRATEGY + "{min_coverage: 0.99, max_gap: 3}", IndicatorCatalogue())
    absent = load_strategy(STRATEGY + "{}", IndicatorCatalogue())

    assert (given.data.min_coverage, given.data.max_gap) == (0.99, 3)
    assert (absent.data.min_coverage, absent.data.max_gap) == (None, None)


def test_wrong_limits_are_told_with_the_nearest_key() -> None:
    with pytest.raises(StrategyError) as refused:
        load_strategy(STRATEGY + "{min_covrage: 0.99, max_gap: -1}", IndicatorCatalogue())

    told = {fault.path: fault for fault in refused.value.faults}
    assert told["data.min_covrage"].suggestion == "min_coverage"
    assert told["data.max_gap"].message == "must be at least 0; it is -1"
