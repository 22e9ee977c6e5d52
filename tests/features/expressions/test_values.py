"""Values of expressions beside their definitions, where they are undefined, and that no later bar changes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest
import talib
from numpy.typing import NDArray

from ktrdr.errors import TrainingDataError
from ktrdr.features.assemble import build_dataset
from ktrdr.features.expressions.formulas import Formulas
from ktrdr.features.expressions.functions import FUNCTIONS
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.sources import Series
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.strategy.spec import Strategy
from tests.features.expressions.formulas import RIGHT, entry
from tests.features.series import made_bars

FORMULAS = Formulas()
BARS = made_bars(200)
OPEN, CLOSE, VOLUME = (BARS[name].to_numpy() for name in ("open", "close", "volume"))
WITH_GAPS = BARS.with_columns(volume=pl.when(pl.int_range(pl.len()) % 50 == 40).then(0.0).otherwise("volume"))


def values(text: str, bars: pl.DataFrame = BARS, **keys: Any) -> Series:
    (computed,) = FORMULAS.compute([entry(text, **keys)], bars)
    return computed["x"]


def windows(make: Callable[[NDArray[np.float64]], float], rows: int, series: Series = CLOSE) -> Series:
    """`make` of the last `rows` values at each bar."""
    filled = [make(series[end - rows : end]) for end in range(rows, len(series) + 1)]
    return np.array([np.nan] * (rows - 1) + filled)


def wilder(series: Series, rows: int) -> Series:
    averages = np.full(len(series), np.nan)
    averages[rows - 1] = series[:rows].mean()
    for row in range(rows, len(series)):
        averages[row] = averages[row - 1] + (series[row] - averages[row - 1]) / rows
    return averages


def rank(window: NDArray[np.float64]) -> float:
    below, same = (window < window[-1]).sum(), (window == window[-1]).sum()
    return float((below + (same - 1) / 2) / (len(window) - 1))


DEFINED: Mapping[str, tuple[str, Series]] = {
    "lag": ("lag(close, 3) / close", np.append([np.nan] * 3, CLOSE[:-3]) / CLOSE),
    "diff": ("diff(close, 2) / close", np.append([np.nan] * 2, CLOSE[2:] - CLOSE[:-2]) / CLOSE),
    "mean": ("mean(close, 7) / close", windows(np.mean, 7) / CLOSE),
    "sum": ("sum(close, 7) / close", windows(np.sum, 7) / CLOSE),
    "std": ("std(close, 7) / close", windows(lambda x: float(np.std(x, ddof=1)), 7) / CLOSE),
    "lowest": ("lowest(close, 7) / close", windows(np.min, 7) / CLOSE),
    "highest": ("highest(close, 7) / close", windows(np.max, 7) / CLOSE),
    "median": ("median(close, 6) / close", windows(lambda x: float(np.median(x)), 6) / CLOSE),
    "quantile": ("quantile(close, 9, 0.3) / close", windows(lambda x: float(np.quantile(x, 0.3)), 9) / CLOSE),
    "rank": ("rank(close, 9)", windows(rank, 9)),
    "zscore": ("zscore(close, 9)", windows(lambda x: float((x[-1] - x.mean()) / np.std(x, ddof=1)), 9)),
    "corr": (
        "corr(close, volume, 9)",
        np.array(
            [np.nan] * 8
            + [float(np.corrcoef(CLOSE[end - 9 : end], VOLUME[end - 9 : end])[0, 1]) for end in range(9, 201)]
        ),
    ),
    "wilder": ("wilder(close, 5) / close", wilder(CLOSE, 5) / CLOSE),
    "log": ("log(close / open)", np.log(CLOSE / OPEN)),
    "exp": ("exp(close / open)", np.exp(CLOSE / OPEN)),
    "sqrt": ("sqrt(close / open)", np.sqrt(CLOSE / OPEN)),
    "abs": ("abs(open - close) / close", np.abs(OPEN - CLOSE) / CLOSE),
    "sign": ("sign(lag(close) - close)", np.append(np.nan, np.sign(CLOSE[:-1] - CLOSE[1:]))),
    "min": ("min(lag(close), close) / close", np.append(np.nan, np.minimum(CLOSE[:-1], CLOSE[1:])) / CLOSE),
    "max": ("max(lag(close), close) / close", np.append(np.nan, np.maximum(CLOSE[:-1], CLOSE[1:])) / CLOSE),
    "where": ("where(close > lag(close), 2, 3)", np.append(np.nan, np.where(CLOSE[1:] > CLOSE[:-1], 2.0, 3.0))),
}


def test_every_function_has_a_definition_here() -> None:
    assert DEFINED.keys() == FUNCTIONS.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_are_those_of_the_definition(name: str) -> None:
    text, defined = DEFINED[name]

    np.testing.assert_allclose(values(text), defined, rtol=1e-9, atol=1e-9)
    assert FORMULAS.warmup(entry(text)) == np.isnan(defined).sum()


def test_operators_conditions_and_the_clock() -> None:
    np.testing.assert_allclose(values("-(close + open) / (2 * close) * 3 ** 2"), -(CLOSE + OPEN) / 2 / CLOSE * 9)
    np.testing.assert_array_equal(values("1.0005 < close / open < 2 or not volume >= 0"), CLOSE / OPEN > 1.0005)
    np.testing.assert_array_equal(values("(close != open) + (close == close)"), np.full(200, 2.0))
    np.testing.assert_array_equal(values("weekday"), BARS["timestamp"].dt.weekday())
    np.testing.assert_array_equal(values("hour"), np.zeros(200))


def test_talibs_functions_are_talibs() -> None:
    *_, histogram = talib.MACD(CLOSE, 5, 9, 4)

    np.testing.assert_array_equal(values("macd(close, 5, n, 4, output=macdhist) / close", n=9), histogram / CLOSE)
    np.testing.assert_array_equal(values("rsi(lag(close), period=5)")[6:], talib.RSI(CLOSE[:-1], 5)[5:])
    doji = talib.CDLDOJI(OPEN, BARS["high"].to_numpy(), BARS["low"].to_numpy(), CLOSE)
    np.testing.assert_array_equal(values("cdldoji()")[10:], doji[10:])


def test_a_number_beside_an_expression_is_as_if_it_stood_in_it() -> None:
    np.testing.assert_array_equal(values("mean(returns, 2 * n) * f", n=4, f=0.5), values("mean(returns, 8) * 0.5"))


@pytest.mark.parametrize(
    ("text", "undefined"),
    [
        ("close / open / volume * mean(volume, 1)", [40, 90, 140, 190]),
        ("log(volume) - log(lag(volume))", [40, 41, 90, 91, 140, 141, 190, 191]),
        ("mean(1 / (volume / lag(volume)), 3)", [row + after for row in (40, 90, 140, 190) for after in range(4)]),
        ("where(volume > 0, mean(volume, 3) / volume, 0)", []),
        ("volume > 0 and mean(volume, 3) / volume > 1", []),
        ("where(mean(volume, 1) / volume > 0, 1, 2)", [40, 90, 140, 190]),
        ("max(close / volume, 0) * volume / close", [40, 90, 140, 190]),
    ],
)
def test_what_is_undefined_makes_undefined_what_depends_on_it_and_nothing_else(text: str, undefined: list[int]) -> None:
    computed = values(text, WITH_GAPS)
    warmup = FORMULAS.warmup(entry(text))

    assert not np.isinf(computed).any()
    assert (np.flatnonzero(np.isnan(computed[warmup:])) + warmup).tolist() == undefined


def test_a_training_names_the_bar_at_which_an_expression_is_undefined_and_what_mends_it() -> None:
    spec = strategy({"expr": "mean(volume, 3) / volume", "as": "quiet"})

    with pytest.raises(TrainingDataError) as found:
        build_dataset(spec, {"AAPL": SymbolBars({"1d": WITH_GAPS})})

    assert "feature quiet is nan at 2020-02-10" in found.value.detail
    assert "where(volume > 0, …, 0)" in (found.value.hint or "")


@pytest.mark.parametrize("rows", [0, 1, 2, 20, 21, 100])
def test_no_later_bar_changes_a_bit(rows: int) -> None:
    entries = [entry(text, **{"as": f"x{place}"}) for place, text in enumerate(RIGHT)]

    for whole, then in zip(FORMULAS.compute(entries, BARS), FORMULAS.compute(entries, BARS.head(rows)), strict=True):
        for name, column in then.items():
            np.testing.assert_array_equal(column, whole[name][:rows])


def test_leading_rows_are_undefined_as_far_as_the_expression_says_and_no_further() -> None:
    for text in RIGHT:
        computed, warmup = values(text), FORMULAS.warmup(entry(text))
        assert np.isnan(computed[:warmup]).all(), text
        assert np.isfinite(computed[warmup:]).all(), text


def test_expressions_stand_among_indicators_in_the_strategys_order() -> None:
    spec = strategy({"name": "rsi"}, {"expr": "returns * 2", "as": "twice"}, {"name": "sma", "period": 3})
    catalogue = IndicatorCatalogue()

    computed = catalogue.compute_all(spec.indicators, BARS)

    assert [list(each) for each in computed] == [["rsi_14"], ["twice"], ["sma_3"]]


def strategy(*indicators: dict[str, Any]) -> Strategy:
    return Strategy.model_validate(
        {
            "name": "x",
            "model": {"type": "mlp", "sequence_length": 2},
            "timeframes": ["1d"],
            "indicators": list(indicators),
        }
    )
