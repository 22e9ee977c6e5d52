"""The catalogue knows every TA-Lib function, computes what TA-Lib computes, and explains what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
import talib
from talib import abstract

from ktrdr.errors import IndicatorNotFound
from ktrdr.features.feature import Scale
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.sources import source_series
from ktrdr.strategy.sections.indicators import Indicator
from tests.bars import Series, every_source
from tests.features.series import made_bars

CATALOGUE = IndicatorCatalogue()
NAMES = CATALOGUE.names()
COLUMNS = ("open", "high", "low", "close", "volume")


def indicator(name: str, **keys: Any) -> Indicator:
    if name.lower() == "mavp":  # it alone needs a series that bars do not have
        keys.setdefault("sources", ["close", "close"])
    return Indicator.model_validate({"name": name, **keys})


def faults(name: str, **keys: Any) -> list[str]:
    return [str(fault) for fault in CATALOGUE.check(indicator(name, **keys))]


def directly(name: str, bars: pl.DataFrame) -> list[np.ndarray[Any, Any]]:
    inputs = {column: bars[column].to_numpy() for column in COLUMNS} | {"periods": bars["close"].to_numpy()}
    values = abstract.Function(name)(inputs)  # type: ignore[attr-defined]
    return values if isinstance(values, list) else [values]


def test_every_function_is_there_and_has_no_faults_at_its_defaults() -> None:
    assert {name.upper() for name in NAMES} == set(talib.get_functions())
    assert [name for name in NAMES if faults(name)] == []


@every_source
@pytest.mark.parametrize("name", NAMES)
def test_values_and_warmup_are_talibs(name: str, series: Series) -> None:
    bars = series("AAPL_1d")
    spec = indicator(name)

    computed = list(CATALOGUE.compute(spec, bars).values())

    warmup = CATALOGUE.warmup(spec)
    assert warmup == CATALOGUE.describe(name).warmup
    for ours, theirs in zip(computed, directly(name, bars), strict=True):
        np.testing.assert_array_equal(ours[warmup:], theirs[warmup:].astype(np.float64))
        assert np.isnan(ours[:warmup]).all()
        if theirs.dtype == np.float64 and name not in ("acos", "asin"):
            assert int(np.flatnonzero(~np.isnan(theirs))[0]) == warmup


@every_source
@pytest.mark.parametrize("name", [*NAMES[::7], "sma", "macd", "ht_sine", "sarext", "supertrend", "fractal"])
@pytest.mark.parametrize("rows", [150, 700])
def test_the_past_does_not_change_when_the_future_arrives(name: str, rows: int, series: Series) -> None:
    bars, spec = series("AAPL_1d").head(1000), indicator(name)

    full, prefix = CATALOGUE.compute(spec, bars), CATALOGUE.compute(spec, bars.head(rows))

    for feature, values in prefix.items():
        np.testing.assert_allclose(values, full[feature][:rows], rtol=1e-9, atol=1e-9)


@every_source
@pytest.mark.parametrize("name", ["ASIN", "sma", "stddev", "cumsum"])
def test_returns_are_a_source_with_one_more_row_of_warmup(name: str, series: Series) -> None:
    bars, spec = series("AAPL_1d"), indicator(name, source="returns")

    ((_, values),) = CATALOGUE.compute(spec, bars).items()

    assert CATALOGUE.warmup(spec) == CATALOGUE.describe(name).warmup + 1
    assert np.isfinite(values[CATALOGUE.warmup(spec) :]).all()


def test_sources_are_the_columns_they_name() -> None:
    bars = made_bars(50)
    high, low, close = (bars[column].to_numpy() for column in ("high", "low", "close"))

    np.testing.assert_allclose(source_series(bars, "hlc3"), (high + low + close) / 3)
    (typical,) = CATALOGUE.compute(indicator("sma", period=5, source="hl2"), bars).values()
    np.testing.assert_array_equal(typical, talib.SMA((high + low) / 2, timeperiod=5))
    (beta,) = CATALOGUE.compute(indicator("sub", sources=["close", "low"]), bars).values()
    np.testing.assert_array_equal(beta, close - low)


@pytest.mark.parametrize("rows", [0, 1, 19, 20])
def test_a_series_shorter_than_the_warmup_has_no_values(rows: int) -> None:
    values = CATALOGUE.compute(indicator("sma", period=20), made_bars(20).head(rows))["sma_20"]

    assert len(values) == rows
    assert np.isfinite(values).sum() == (rows == 20)


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ({"name": "SMA", "period": 20}, ["sma_20"]),
        ({"name": "sma", "timeperiod": 5, "source": "volume"}, ["sma_5_volume"]),
        ({"name": "rsi"}, ["rsi_14"]),
        ({"name": "rsi", "as": "strength"}, ["strength"]),
        ({"name": "macd"}, [f"macd_12_26_9.{line}" for line in ("macd", "macdsignal", "macdhist")]),
        ({"name": "accbands", "period": 9}, [f"accbands_9.{side}band" for side in ("upper", "middle", "lower")]),
        ({"name": "ma", "period": 10, "matype": 1}, ["ma_10_matype_1"]),
        ({"name": "stddev", "nbdev": 2.5, "period": 10}, ["stddev_10_nbdev_2.5"]),
        ({"name": "aroon", "as": "a"}, ["a.aroondown", "a.aroonup"]),
        ({"name": "correl", "sources": ["close", "volume"]}, ["correl_30_close_volume"]),
        ({"name": "obv"}, ["obv"]),
    ],
)  # fmt: skip
def test_feature_names(keys: dict[str, Any], names: list[str]) -> None:
    assert list(CATALOGUE.feature_names(Indicator.model_validate(keys))) == names


@pytest.mark.parametrize(
    ("keys", "scales"),
    [
        ({"name": "sma"}, [Scale.LEVEL]),
        ({"name": "sma", "source": "hl2"}, [Scale.LEVEL]),
        ({"name": "sma", "source": "volume"}, [Scale.OWN]),
        ({"name": "sma", "source": "returns"}, [Scale.OWN]),
        ({"name": "rsi"}, [Scale.OWN]),
        ({"name": "cdldoji"}, [Scale.OWN]),
        ({"name": "bbands"}, [Scale.LEVEL] * 3),
        ({"name": "vwap"}, [Scale.LEVEL]),
        ({"name": "supertrend"}, [Scale.LEVEL, Scale.OWN]),
        ({"name": "macd"}, [Scale.SIZE] * 3),
        ({"name": "atr"}, [Scale.SIZE]),
        ({"name": "stddev"}, [Scale.SIZE]),
        ({"name": "stddev", "source": "returns"}, [Scale.OWN]),
        ({"name": "sub", "sources": ["high", "low"]}, [Scale.SIZE]),
        ({"name": "div", "sources": ["high", "low"]}, [Scale.OWN]),
        ({"name": "efi"}, [Scale.SIZE]),
        ({"name": "var"}, [Scale.SQUARE]),
    ],
)
def test_outputs_are_filed_by_how_they_follow_the_price(keys: dict[str, Any], scales: list[Scale]) -> None:
    assert [feature.scale for feature in CATALOGUE.features(Indicator.model_validate(keys))] == scales


# Functions whose values follow the price in no whole power of it, or only until they are rounded to whole numbers.
NO_POWER = {"cos", "sin", "tan", "cosh", "sinh", "exp", "ln", "log10", "sqrt", "linearreg_angle", "atan", "tanh"}
NO_POWER |= {"ceil", "floor"}


@every_source
@pytest.mark.parametrize("name", sorted(set(NAMES) - NO_POWER))
def test_what_enters_a_model_does_not_follow_the_price(name: str, series: Series) -> None:
    bars, spec = series("AAPL_1d").head(600), indicator(name)
    if name == "mavp":  # its second series are periods
        spec = indicator(name, sources=["close", "volume"])
    dearer = bars.with_columns(pl.col("open", "high", "low", "close") * 8.0)

    once, again = (
        {
            feature.name: feature.scale.apply(CATALOGUE.compute(spec, each)[feature.name], each["close"].to_numpy())
            for feature in CATALOGUE.features(spec)
        }
        for each in (bars, dearer)
    )

    for feature, values in once.items():
        np.testing.assert_allclose(again[feature], values, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "keys", "expected"),
    [
        ("smaa", {}, "name must be a TA-Lib function; it is 'smaa'; did you mean 'sma'?"),
        ("sma", {"period": 0}, "period must be at least 1; it is 0"),
        ("rsi", {"period": 1}, "period must be at least 2; it is 1"),
        ("sma", {"timeperiod": 10**30}, f"timeperiod must be at most 100000; it is {10**30}"),
        ("sma", {"period": 20.0}, "period must be a whole number; it is 20.0"),
        ("sma", {"period": 3, "timeperiod": 3}, "period means timeperiod, which is set too; keep one of them"),
        ("sma", {"perod": 3}, "perod is not a parameter of sma; it has timeperiod; did you mean 'period'?"),
        ("obv", {"period": 3}, "period is not a parameter of obv; it has no parameters"),
        ("ma", {"matype": 99}, "matype must be at most 13; it is 99"),
        ("sar", {"acceleration": -1}, "acceleration must be at least 0; it is -1"),
        ("percentile", {"percentile": 1e300}, "percentile must be at most 100; it is 1e+300"),
        ("atr", {"source": "close"}, "source is for functions of one free series; atr reads high, low, close"),
        ("sma", {"sources": ["close", "low"]}, "sources is for functions of several free series; sma reads close"),
        ("add", {"sources": ["close", "low", "high"]}, "sources must name 2 series; it names 3"),
    ],
)  # fmt: skip
def test_faults_name_the_rule_and_the_value(name: str, keys: dict[str, Any], expected: str) -> None:
    assert faults(name, **keys) == [expected]


def test_a_function_of_a_series_that_bars_lack_asks_for_it() -> None:
    (fault,) = CATALOGUE.check(Indicator(name="mavp"))

    assert str(fault) == "sources is required: mavp reads close, periods, and bars have no periods"


def test_parameters_that_are_right_together_are_taken() -> None:
    assert faults("mavp", minperiod=50, maxperiod=60) == []


def test_resolving_writes_every_default_out_and_changes_nothing_else() -> None:
    spec = indicator("BBANDS", period=10, nbdevup=1)

    resolved = CATALOGUE.resolve(spec)

    assert (resolved.name, resolved.parameters) == (
        "bbands",
        {"timeperiod": 10, "nbdevup": 1.0, "nbdevdn": 2.0, "matype": 0},
    )
    assert CATALOGUE.resolve(resolved) == resolved
    assert CATALOGUE.feature_names(resolved) == CATALOGUE.feature_names(spec)


def test_describing_tells_all_that_a_reader_needs() -> None:
    described = CATALOGUE.describe("Stoch")

    assert (described.name, described.title, described.group) == ("stoch", "Stochastic", "Momentum Indicators")
    assert (described.inputs, described.outputs) == (("high", "low", "close"), ("slowk", "slowd"))
    assert [parameter.default for parameter in described.parameters] == [5, 3, 0, 3, 0]
    assert (described.price_scale, described.enters_as, described.warmup) == (False, ("slowk", "slowd"), 8)
    assert CATALOGUE.describe("supertrend").enters_as == ("supertrend / close - 1", "trend")
    assert CATALOGUE.describe("atr").enters_as == ("real / close",)


def test_describing_an_unknown_function_names_the_nearest() -> None:
    with pytest.raises(IndicatorNotFound) as caught:
        CATALOGUE.describe("stoc")

    assert caught.value.hint == "did you mean 'stoch'?"
