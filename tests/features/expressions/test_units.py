"""Nothing enters a model in dollars or in shares."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ktrdr.features.expressions.formulas import Formulas, read
from ktrdr.features.expressions.terms import ExpressionError
from tests.features.expressions.formulas import RIGHT, entry
from tests.features.series import made_bars

FORMULAS = Formulas()


@pytest.mark.parametrize(("prices", "volumes"), [(4.0, 1.0), (1.0, 16.0)])
def test_other_dollars_and_other_shares_change_no_value(prices: float, volumes: float) -> None:
    bars = made_bars(120)
    other = bars.with_columns(pl.col("open", "high", "low", "close") * prices, pl.col("volume") * volumes)
    entries = [entry(text, **{"as": f"x{place}"}) for place, text in enumerate(RIGHT)]

    pairs = zip(FORMULAS.compute(entries, bars), FORMULAS.compute(entries, other), strict=True)

    for one, two in pairs:
        for values, others in zip(one.values(), two.values(), strict=True):
            np.testing.assert_allclose(values, others, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("text", "part", "unit"),
    [
        ("close", "close is", "a price"),
        ("close - open", "close - open is", "a price"),
        ("volume / 1e6", "volume / 1e6 is", "a volume"),
        ("obv()", "obv() is", "a volume"),
        ("sum(close, 5) / volume", "is", "price * volume ** -1"),
        ("sqrt(close)", "sqrt(close) is", "price ** 0.5"),
        ("std(close, 5) ** 2", "is", "price ** 2"),
        ("wilder(close, 5)", "is", "a price"),
        ("macd(close, 12, 26, 9, output=macd)", "is", "a price"),
        ("vwap()", "is", "a price"),
        ("log(close)", "log(close) is", "the logarithm of a price"),
        ("ema(log(close), 5) + log(close)", "is", "the logarithm of price ** 2"),
        ("where(close > open, close, open)", "is", "a price"),
    ],
)
def test_a_result_with_a_unit_is_refused_with_what_it_is(text: str, part: str, unit: str) -> None:
    (fault,) = FORMULAS.check(entry(text))

    assert f"{part} {unit}".removeprefix("is ") in fault.message
    assert "nothing enters a model in dollars or shares" in fault.message
    assert "diff(log(close))" in fault.message or "divide it by another of its kind" in fault.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("close / open - close", ["close is a price", "cannot be subtracted"]),
        ("returns + volume", ["volume is a volume", "cannot be added"]),
        ("close > 100", ["100 is a number without a unit", "cannot be compared"]),
        ("log(close) > 0", ["log(close) is the logarithm", "cannot be compared"]),
        ("max(close, 20) / close", ["cannot be chosen between"]),
        ("where(returns > 0, close, volume)", ["cannot be chosen between"]),
        ("exp(close)", ["close is a price", "no exponent"]),
        ("2 ** close", ["close is a price", "no power"]),
        ("log(log(close))", ["log(close) is the logarithm of a price"]),
        ("close * log(close)", ["log(close) is the logarithm of a price"]),
        ("abs(log(close))", ["log(close) is the logarithm of a price"]),
        ("sin(close)", ["sin(close) has no unit that is known", "a price"]),
    ],
)
def test_parts_that_do_not_go_together_are_named(text: str, words: list[str]) -> None:
    with pytest.raises(ExpressionError) as found:
        read(entry(text))

    assert [word for word in words if word not in found.value.message] == []


def test_zero_is_no_dollars_and_no_shares() -> None:
    texts = ["where(close - open > 0, 1, 0)", "max(close - open, 0) / close", "(0 + close) / open", "volume != 0"]

    assert [fault for text in texts for fault in FORMULAS.check(entry(text))] == []
